"""Tests make their rows as an administrator, whom policies do not bind; their requests are the application's."""

from django.db import connection

from board.settings_tenancy import *  # noqa: F403

MIDDLEWARE.insert(0, "board.settings_tenancy_tests.as_application")  # noqa: F405
# A database in which the set-up was run.
DATABASES["default"]["TEST"] = {"TEMPLATE": "tenancy_template"}  # noqa: F405


def as_application(get_response):
    def answer(request):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL ROLE board_app")
        response = get_response(request)
        if response.streaming:
            response.streaming_content = list(response.streaming_content)
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
        return response

    return answer
