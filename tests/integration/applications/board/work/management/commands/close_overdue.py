from django.core.management.base import BaseCommand
from django.utils import timezone

from work.models import Task


class Command(BaseCommand):
    help = "Closes the tasks that are overdue. Runs every night."

    def handle(self, **options):
        closed = Task.objects.filter(due__lt=timezone.now().date(), done=False).update(done=True)
        self.stdout.write(f"closed {closed}")
