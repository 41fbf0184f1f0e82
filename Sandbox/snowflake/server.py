"""The listeners: the driver protocol and the three object stores, each on a port of its own, and again over TLS."""
from .api import Api, around
from .http_server import Listener
from .metadata_server import MetadataServer
from .store_azure import AzureStore
from .store_gcs import GcsStore
from .store_s3 import S3Store


class Server:
    def __init__(self, world, port=0, tls=False):
        self.world = world
        given = world.objects, world.stages.credentials, world.accounts, world.settings
        handlers = {"api": Api(world).handle, "s3": self._with_faults("s3", S3Store(*given)),
                    "azure": self._with_faults("azure", AzureStore(*given)), "gcs": self._with_faults("gcs", GcsStore(*given)),
                    "metadata": self._with_faults("metadata", MetadataServer(world.accounts))}
        self.listeners = {name: Listener(handler, port if name == "api" else 0) for name, handler in handlers.items()}
        if tls:
            from .certificates import server_context
            context = server_context(world.data)
            for name, handler in handlers.items():
                self.listeners["tls_" + name] = Listener(handler, 0, context)
        self.ports = {name: listener.port for name, listener in self.listeners.items()}
        endpoints = world.stages.endpoints
        for location, name in (("S3", "s3"), ("AZURE", "azure"), ("GCS", "gcs")):
            endpoints[location] = f"http://127.0.0.1:{self.ports[name]}"
            if location == "AZURE":
                endpoints[location] += "/" + AzureStore.account
            if tls:
                endpoints["tls" + location] = f"localhost:{self.ports['tls_' + name]}"

    def _with_faults(self, service, store):
        def handle(request):
            self.world.wait_while_stalled()
            rule = self.world.faults.take(service, request.method, request.target)
            return store.handle(request) if rule is None else around(rule, lambda: store.handle(request))
        return handle

    def close(self):
        for listener in self.listeners.values():
            listener.close()
