import datetime
import json
from io import StringIO

from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import TestCase

from work.models import Membership, Organisation, Project, Task


class BoardTest(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.organisation = Organisation.objects.create(name="Ant")
        cls.user = User.objects.create_user("ann", password="ann")
        Membership.objects.create(organisation=cls.organisation, user=cls.user)
        cls.project = Project.objects.create(organisation=cls.organisation, name="hill")
        cls.overdue = Task.objects.create(project=cls.project, title="dig", due=datetime.date(2020, 1, 1))
        cls.later = Task.objects.create(project=cls.project, title="carry", points=3)

    def setUp(self):
        self.send("POST", "/login", {"username": "ann", "password": "ann"}, expect=204)
        self.send("POST", f"/organisations/{self.organisation.pk}/switch", expect=204)

    def send(self, method, path, data=None, expect=200):
        response = self.client.generic(method, path, json.dumps(data), content_type="application/json")
        self.assertEqual(response.status_code, expect)
        return response

    def test_lists(self):
        response = self.send("GET", "/organisations")
        self.assertEqual(response.json()["organisations"], [{"id": self.organisation.pk, "name": "Ant"}])
        response = self.send("GET", "/projects")
        self.assertEqual(response.json()["projects"], [{"id": self.project.pk, "name": "hill", "open": 2}])
        response = self.send("GET", "/tasks?q=dig")
        self.assertEqual([task["title"] for task in response.json()["tasks"]], ["dig"])

    def test_a_project_from_beginning_to_end(self):
        pk = self.send("POST", "/projects", {"name": "bridge"}, expect=201).json()["id"]
        task = self.send("POST", "/tasks", {"project": pk, "title": "bite"}, expect=201).json()["id"]
        self.send("PATCH", f"/tasks/{task}", {"done": True}, expect=204)
        self.assertTrue(self.send("GET", f"/tasks/{task}").json()["done"])
        self.send("PATCH", f"/projects/{pk}", {"name": "tunnel"})
        self.assertEqual(Project.objects.get(pk=pk).name, "tunnel")
        self.send("DELETE", f"/tasks/{task}", expect=204)
        self.send("DELETE", f"/projects/{pk}", expect=204)
        self.assertFalse(Project.objects.filter(pk=pk).exists())

    def test_only_one_claims_a_task(self):
        self.send("POST", f"/tasks/{self.later.pk}/claim", expect=204)
        self.send("POST", f"/tasks/{self.later.pk}/claim", expect=409)

    def test_an_import_keeps_the_order(self):
        data = {"project": self.project.pk, "titles": ["a", "b", "c"]}
        ids = self.send("POST", "/tasks/import", data, expect=201).json()["ids"]
        self.assertEqual([Task.objects.get(pk=pk).title for pk in ids], ["a", "b", "c"])

    def test_overdue_tasks_are_closed(self):
        self.assertEqual(self.send("POST", "/tasks/close-overdue").json(), {"closed": 1})

    def test_the_report(self):
        answer = self.send("GET", "/report").json()
        self.assertEqual(answer, {"totals": {"tasks": 2, "points": 4}, "projects": [["hill", 2]]})

    def test_the_export(self):
        lines = self.send("GET", "/export").getvalue().decode().splitlines()
        self.assertEqual(lines, [f"{self.overdue.pk},hill,dig", f"{self.later.pk},hill,carry"])

    def test_without_login(self):
        self.client.logout()
        self.send("GET", "/projects", expect=403)

    def test_the_nightly_job(self):
        out = StringIO()
        call_command("close_overdue", stdout=out)
        self.assertEqual(out.getvalue(), "closed 1\n")
