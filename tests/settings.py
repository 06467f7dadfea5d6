"""Django settings of the tests: the product's own, in a data folder that goes away."""

import atexit
import os
import shutil
import tempfile

# Workers of one run inherit its environment. With one folder they would share the file cache,
# and the `cache.clear()` of one would wipe what another is counting.
if "LINEWARDEN_DATA" not in os.environ or os.environ.get("LINEWARDEN_TEST_WORKER") != (
    os.environ.get("PYTEST_XDIST_WORKER", "alone")
):
    folder = tempfile.mkdtemp(prefix="linewarden-test-")
    os.environ["LINEWARDEN_DATA"] = folder
    os.environ["LINEWARDEN_TEST_WORKER"] = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

from server.config.settings import *  # noqa: F403 - the point of this file
from server.config.settings import DATA, DATABASES

# A file and not memory: transactions, locks and several connections are the real ones.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": str(DATA / "test.sqlite")}

# Hashing that is slow by design would be most of the time of the tests.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
