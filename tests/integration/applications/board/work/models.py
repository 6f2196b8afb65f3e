from django.conf import settings
from django.db import models


class Organisation(models.Model):
    name = models.CharField(max_length=100)


class Membership(models.Model):
    class Role(models.TextChoices):
        MANAGER = "manager"
        VIEWER = "viewer"

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.MANAGER)

    class Meta:
        unique_together = [("organisation", "user")]


class Project(models.Model):
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)

    class Meta:
        unique_together = [("organisation", "name")]


class Task(models.Model):
    """Its organisation is its project's."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tasks")
    title = models.CharField(max_length=200)
    points = models.IntegerField(default=1)
    due = models.DateField(null=True)
    done = models.BooleanField(default=False)
    assignee = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
