"""Runs graphite-web over the series that the recorder wrote down.

usage: serve.py CHECKOUT FOLDER

CHECKOUT is a copy of graphite-web's repository, FOLDER has series.json and
becomes the server's storage. The address is printed once it answers.
"""
import json
import os
import random
import sys
import types
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

checkout, folder = map(os.path.abspath, sys.argv[1:])
series = json.load(open(os.path.join(folder, "series.json")))
now = series["now"]
os.makedirs(os.path.join(folder, "log"))
os.makedirs(os.path.join(folder, "whisper"))

settings = types.ModuleType("recorder_settings")
settings.SECRET_KEY = "only on this machine"
settings.STORAGE_DIR = folder
settings.LOG_DIR = os.path.join(folder, "log")
settings.CARBONLINK_HOSTS = []
settings.STORAGE_FINDERS = ("graphite.finders.standard.StandardFinder",)
settings.USE_WORKER_POOL = False
settings.FIND_TIMEOUT = settings.FETCH_TIMEOUT = 600
settings.TAGDB_CACHE_DURATION = 0
sys.modules["recorder_settings"] = settings
os.environ["GRAPHITE_SETTINGS_MODULE"] = "recorder_settings"
os.environ["DJANGO_SETTINGS_MODULE"] = "graphite.settings"
sys.path.insert(0, os.path.join(checkout, "webapp"))

import whisper  # noqa: E402
from graphite.tags.utils import TaggedSeries  # noqa: E402

for s in series["series"]:
    name = os.path.join(folder, "whisper", TaggedSeries.encode(s["name"], sep=os.sep, hash_only=False) + ".wsp")
    os.makedirs(os.path.dirname(name), exist_ok=True)
    whisper.create(name, s["archives"], s["xFilesFactor"], s["method"], sparse=True)
    whisper.update_many(name, [(when, float(value)) for when, value in s["points"]], now=now)

import django  # noqa: E402

django.setup()
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

call_command("migrate", "--run-syncdb", verbosity=0)
application = get_wsgi_application()

from graphite.events.models import Event  # noqa: E402
from graphite.storage import STORE  # noqa: E402
from graphite.util import epoch_to_dt  # noqa: E402

for s in series["series"]:
    STORE.tagdb.tag_series(s["name"])  # as carbon does
for e in series["events"]:
    Event.objects.create(what=e["what"], tags=" ".join(e["tags"]), when=epoch_to_dt(e["when"]), data=e["data"])


import datetime  # noqa: E402
import graphite.events.views  # noqa: E402
import graphite.metrics.views  # noqa: E402
import graphite.render.attime  # noqa: E402
import graphite.render.views  # noqa: E402


# Nodes of a find are shuffled, so that those of one name come in any order: here by path.
random.shuffle = lambda items: items.sort(key=str)


class Standing(datetime.datetime):
    """The clock stands still, so that answers don't hang on the time of recording."""

    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(now, tz)


for module in (graphite.render.attime, graphite.render.views, graphite.metrics.views):
    module.datetime = Standing
graphite.events.views.now = lambda: datetime.datetime.fromtimestamp(now, datetime.timezone.utc)


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


server = make_server("127.0.0.1", 0, application, server_class=Server, handler_class=Quiet)
print("http://127.0.0.1:%d" % server.server_port, flush=True)
server.serve_forever()
