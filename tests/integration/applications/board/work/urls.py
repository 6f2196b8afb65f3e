from django.urls import path

from work import views

urlpatterns = [
    path("login", views.log_in),
    path("organisations", views.organisations),
    path("organisations/<int:pk>/switch", views.switch),
    path("projects", views.projects),
    path("projects/<int:pk>", views.project),
    path("tasks", views.tasks),
    path("tasks/<int:pk>", views.task),
    path("tasks/<int:pk>/claim", views.claim),
    path("tasks/import", views.import_tasks),
    path("tasks/close-overdue", views.close_overdue),
    path("report", views.report),
    path("export", views.export),
]
