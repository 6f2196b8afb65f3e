from board.settings_tenancy import *  # noqa: F403

ROOT_URLCONF = "board.urls_errors"
# As in the guide, last but for one that shows what being last is for.
MIDDLEWARE.insert(-1, "board.urls_errors.ApiErrors")  # noqa: F405
MIDDLEWARE.append("board.urls_errors.behind")  # noqa: F405
