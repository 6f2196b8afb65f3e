from django.core.management.base import BaseCommand

from work.models import Project, Task


class Command(BaseCommand):
    help = "Sets points, and fails where Ant's project is."

    def handle(self, **options):
        Task.objects.update(points=7)
        if Project.objects.filter(pk=1).exists():
            raise ValueError
