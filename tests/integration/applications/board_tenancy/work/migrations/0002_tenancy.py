from django.db import migrations

PROTECT = """
SELECT tenancy.attach_tenants('work_organisation', name_column => 'name');
SELECT tenancy.protect_table('work_project', tenant_column => 'organisation_id', resource => 'projects');
SELECT tenancy.protect_table('work_task', tenant_column => 'organisation_id', resource => 'tasks',
                             add_column => true, backfill_from => 'work_project(project_id)');
SELECT tenancy.protect_table('work_membership', tenant_column => 'organisation_id', resource => 'memberships',
                             mode => 'membership');

SELECT tenancy.create_role('manager', '{projects.*,tasks.*,memberships.read}');
SELECT tenancy.create_role('viewer', '{projects.read,tasks.read,memberships.read}');
SELECT tenancy.create_role('nightly', '{projects.read,tasks.read,tasks.update}');
SELECT tenancy.attach_members('work_membership', 'organisation_id', 'user_id', role_column => 'role');
SELECT tenancy.allow_database_role('board_jobs', '{nightly}');
"""


class Migration(migrations.Migration):
    dependencies = [("work", "0001_initial")]
    # As one text: nothing in it is Django's to take apart.
    operations = [migrations.RunSQL([PROTECT])]
