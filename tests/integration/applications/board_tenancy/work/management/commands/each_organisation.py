import logging

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from board.tenancy import as_job


class Command(BaseCommand):
    help = "Runs a command for each organisation, in a transaction that is in it."

    def add_arguments(self, parser):
        parser.add_argument("command")

    def handle(self, command, **options):
        with connection.cursor() as cursor:
            cursor.execute("SELECT key FROM tenancy.enterable_tenants() ORDER BY key::bigint")
            keys = [key for key, in cursor.fetchall()]
        failed = []
        for key in keys:
            try:
                with as_job(key):
                    self.stdout.write(f"organisation {key}:")
                    call_command(command, stdout=self.stdout)
            except Exception:
                # What it did here is taken back, and the others have their turn.
                logging.getLogger(__name__).exception("organisation %s", key)
                failed.append(key)
        if failed:
            raise CommandError(f"{command} failed in {', '.join(failed)}")
