from board.settings import *  # noqa: F403

MIDDLEWARE += ["board.tenancy.TenancyMiddleware"]  # noqa: F405
