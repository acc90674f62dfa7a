"""A kubectl and an oc on the PATH that hold a small cluster's state and record what they were asked.

The programs are thin clients of a socket, as a pretend node's are; the state is in the test's process, where tests read
and set it. It refuses what a real server refuses: objects in a namespace that is missing, a second create, changed
parameters of a class, a changed selector. Controllers are played at once: a DaemonSet gets a pod on each node, a
Deployment one.
"""

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from simulator.node.executables import install
from simulator.node.server import Client, Server, address_of
from tests.install import jsonpath

Raw = dict[str, Any]

KINDS = {kind.lower(): kind for kind in (
    "Namespace", "Secret", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "DaemonSet",
    "Deployment", "Service", "StorageClass", "Pod", "Node", "PersistentVolume", "PersistentVolumeClaim", "Lease")}
CLUSTER_WIDE = {"Namespace", "ClusterRole", "ClusterRoleBinding", "StorageClass", "Node", "PersistentVolume"}
TAKES_VALUE = ("-n", "-o", "-l", "-f", "--raw", "--tail", "--request-timeout")


PROVISIONER = "pure-provisioner"


class Refusal(Exception):
    """What kubectl would print before it ends with 1."""


class Cluster:
    """The state. `calls` are all command lines, the program first, in order."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.objects: dict[tuple[str, str, str], Raw] = {}      # (kind, namespace, name)
        self.version = "v1.34.4"
        self.api_versions = ["apps/v1", "rbac.authorization.k8s.io/v1", "storage.k8s.io/v1", "v1"]
        self.forbidden: set[str] = set()                        # what `auth can-i create` denies
        self.denied = ""                                        # a kind that an admission webhook takes none of
        self.plugin_dirs: dict[str, str] = {}                   # node -> volumePluginDir in its configz
        self.sick: dict[str, Raw] = {}                          # node -> containerStatuses[0].state of its daemon
        self.passed_over: set[str] = set()                      # nodes that DaemonSets leave out
        self.logs: dict[str, str] = {}                          # node -> what its daemon logs
        self.complaint = ""                                     # what keeps Deployments from being ready
        self.lingering = 0                                      # looks during which its pod still ends
        self.mounted: set[str] = set()                          # nodes where the driver has to stay
        self.drivers: set[str] = set()                          # nodes that have the driver
        for name in ("default", "kube-system", "storage"):
            self.put({"kind": "Namespace", "metadata": {"name": name}})
        for name in ("node1", "node2"):
            self.put({"kind": "Node", "metadata": {"name": name}})

    # For tests

    def put(self, one: Raw) -> None:
        self.objects[self._key(one)] = copy.deepcopy(one)

    def get(self, kind: str, name: str, namespace: str = "") -> Raw | None:
        return self.objects.get((kind, namespace, name))

    def kinds(self) -> dict[tuple[str, str], Raw]:
        """Everything but namespaces, nodes and pods, by kind and name."""
        return {(kind, name): one for (kind, _, name), one in self.objects.items()
                if kind not in ("Namespace", "Node", "Pod")}

    def said(self, *words: str) -> list[list[str]]:
        """The calls that have all these words."""
        return [call for call in self.calls if all(word in call for word in words)]

    def changes(self) -> list[list[str]]:
        """The calls that change something."""
        return [call for call in self.calls if {"apply", "create", "replace", "delete", "label", "exec", "adm"} & set(call)
                and "can-i" not in call]

    # One call

    def answer(self, argv: list[str]) -> tuple[int, str, str]:
        """Exit status, stdout, stderr."""
        self.calls.append(argv)
        options, words = _parsed(argv[1:])
        try:
            return 0, str(getattr(self, "_" + words[0].replace("-", "_"))(words[1:], options)), ""
        except Refusal as error:
            return 1, "", f"Error from server: {error}\n"

    def _version(self, words: list[str], options: dict[str, str]) -> str:
        return json.dumps({"clientVersion": {"gitVersion": "v1.30.0"}, "serverVersion": {"gitVersion": self.version}},
                          indent=1)

    def _api_versions(self, words: list[str], options: dict[str, str]) -> str:
        return "\n".join(self.api_versions) + "\n"

    def _auth(self, words: list[str], options: dict[str, str]) -> str:
        if words[2] in self.forbidden or (words[2] == "*" and self.forbidden):
            raise Refusal("no")
        return "yes\n"

    def _get(self, words: list[str], options: dict[str, str]) -> str:
        if "--raw" in options:
            node = options["--raw"].split("/")[4]
            if node not in self.plugin_dirs:
                raise Refusal("(Forbidden)")
            return json.dumps({"kubeletconfig": {"volumePluginDir": self.plugin_dirs[node]}})
        kind, names = self._named(words)
        if names:
            found = self.objects.get((kind, self._space(kind, options), names[0]))
            if found is None:
                if "--ignore-not-found" in options:
                    return ""
                raise Refusal(f'{kind.lower()}s "{names[0]}" not found')
        else:
            found = {"kind": "List", "items": self._list(kind, options)}
        return self._printed(found, options.get("-o", ""))

    def _list(self, kind: str, options: dict[str, str]) -> list[Raw]:
        label, _, value = options.get("-l", "").partition("=")
        space = self._space(kind, options)
        if value == PROVISIONER and ("Deployment", space, value) not in self.objects:
            self._end_provisioner(space)
        return [one for (its_kind, its_space, _), one in sorted(self.objects.items())
                if its_kind == kind and ("--all-namespaces" in options or its_space == space)
                and (not label or one["metadata"].get("labels", {}).get(label) == value)]

    def _apply(self, words: list[str], options: dict[str, str]) -> str:
        return "".join(self.store(one) for one in _documents(options["-f"]))

    def _create(self, words: list[str], options: dict[str, str]) -> str:
        if words[:1] == ["namespace"]:
            return self.store({"kind": "Namespace", "metadata": {"name": words[1]}})
        for one in _documents(options["-f"]):
            if self._key(one) in self.objects:
                raise Refusal(f'(AlreadyExists): "{one["metadata"]["name"]}" already exists')
        return self._apply(words, options)

    def _replace(self, words: list[str], options: dict[str, str]) -> str:
        for one in _documents(options["-f"]):
            if self._key(one) not in self.objects:
                raise Refusal(f'(NotFound): "{one["metadata"]["name"]}" not found')
            if "--force" in options:
                self._drop(self._key(one))
        return self._apply(words, options)

    def _delete(self, words: list[str], options: dict[str, str]) -> str:
        kind, names = self._named(words)
        key = (kind, self._space(kind, options), names[0])
        if key not in self.objects:
            if "--ignore-not-found" in options:
                return ""
            raise Refusal(f'"{names[0]}" not found')
        self._drop(key)
        return f'{kind.lower()} "{names[0]}" deleted\n'

    def _label(self, words: list[str], options: dict[str, str]) -> str:
        key, _, value = words[2].partition("=")
        self.objects[("Namespace", "", words[1])]["metadata"].setdefault("labels", {})[key] = value
        return "labeled\n"

    def _exec(self, words: list[str], options: dict[str, str]) -> str:
        node = self.objects[("Pod", options["-n"], words[0])]["spec"]["nodeName"]
        if node in self.mounted:
            raise Refusal("WARNING the driver stays: 1 volumes are mounted, and nobody could unmount them: /pods/1")
        self.drivers.discard(node)
        return ""

    def _logs(self, words: list[str], options: dict[str, str]) -> str:
        if words[0].startswith("deployment/"):
            return f"2026-01-31T08:15:00.123Z WARNING {self.complaint}\n"
        return self.logs.get(self.objects[("Pod", options["-n"], words[0])]["spec"]["nodeName"], "")

    def _adm(self, words: list[str], options: dict[str, str]) -> str:
        return ""

    # The server

    def store(self, one: Raw) -> str:
        """What the API server does with an object it is given, and what the controllers make of it."""
        kind, space, name = key = self._key(one)
        before = self.objects.get(key, {})
        if space and ("Namespace", "", space) not in self.objects:
            raise Refusal(f'(NotFound): namespaces "{space}" not found')
        if kind == self.denied:
            raise Refusal(f'admission webhook "labels.example.com" denied the request: {kind} {name} has no owner')
        if kind == "StorageClass" and before and before.get("parameters") != one.get("parameters"):
            raise Refusal(f'(Invalid): StorageClass "{name}" is invalid: updates to parameters are forbidden.')
        if kind in ("DaemonSet", "Deployment"):
            if before and before["spec"]["selector"] != one["spec"]["selector"]:
                raise Refusal(f'(Invalid): {kind} "{name}" is invalid: spec.selector: field is immutable')
            one = {**one, **self._status(one, before)}
        self.put(one)
        if kind == "DaemonSet":
            self._run_daemon(one)
        elif kind == "Deployment":
            self.put({"kind": "Pod", "metadata": {"name": f"{name}-1", "namespace": space, "labels": {"app": name}},
                      "spec": {"nodeName": "node1"}, "status": {"phase": "Running"}})
        return f"{kind.lower()}/{name} {'configured' if before else 'created'}\n"

    def _status(self, one: Raw, before: Raw) -> Raw:
        generation = before.get("metadata", {}).get("generation", 0) + (before.get("spec") != one["spec"])
        metadata = {**one["metadata"], "generation": generation}
        nodes = self._served()
        ready = len(nodes) - len(self.sick)
        status = {"observedGeneration": generation, "desiredNumberScheduled": len(nodes),
                  "updatedNumberScheduled": len(nodes), "numberReady": ready}
        if one["kind"] == "Deployment":
            status = {"observedGeneration": generation, "updatedReplicas": 1, "availableReplicas": int(not self.complaint)}
        return {"metadata": metadata, "status": status}

    def _served(self) -> list[str]:
        return [name for kind, _, name in self.objects if kind == "Node" and name not in self.passed_over]

    def _run_daemon(self, one: Raw) -> None:
        space = one["metadata"]["namespace"]
        for node in self._served():
            state = self.sick.get(node)
            self.put({"kind": "Pod",
                      "metadata": {"name": f"pure-flex-{node}", "namespace": space, "labels": {"app": "pure-flex"}},
                      "spec": {"nodeName": node, "volumes": []},
                      "status": {"phase": "Running", "containerStatuses": [{"state": state or {"running": {}}}],
                                 "conditions": [{"type": "Ready", "status": "True" if state is None else "False"}]}})
            self.drivers.add(node)

    def _drop(self, key: tuple[str, str, str]) -> None:
        del self.objects[key]
        if key[0] == "DaemonSet":
            for pod in [one for one in self.objects if one[0] == "Pod" and one[2].startswith(f"{key[2]}-")]:
                del self.objects[pod]

    def _end_provisioner(self, space: str) -> None:
        """Its Deployment is gone: the pod finishes what it does, gives up its lock, and ends."""
        if self.lingering:
            self.lingering -= 1
        else:
            self.objects.pop(("Pod", space, f"{PROVISIONER}-1"), None)

    @staticmethod
    def _key(one: Raw) -> tuple[str, str, str]:
        space = "" if one["kind"] in CLUSTER_WIDE else one["metadata"]["namespace"]
        return one["kind"], space, one["metadata"]["name"]

    @staticmethod
    def _named(words: list[str]) -> tuple[str, list[str]]:
        kind, slash, name = words[0].partition("/")
        return KINDS[kind if kind in KINDS else kind.removesuffix("s")], [name] if slash else words[1:]

    @staticmethod
    def _space(kind: str, options: dict[str, str]) -> str:
        return "" if kind in CLUSTER_WIDE else options.get("-n", "default")

    @staticmethod
    def _printed(found: Raw, form: str) -> str:
        if form == "json":
            return json.dumps(found)
        if form.startswith("jsonpath="):
            return jsonpath.evaluate(form.removeprefix("jsonpath="), found)
        return "".join(f"{one['kind'].lower()}/{one['metadata']['name']}\n" for one in found.get("items", [found]))


def _parsed(argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """Options and other words; what follows "--" is left out."""
    options: dict[str, str] = {}
    words: list[str] = []
    rest = iter(argv)
    for word in rest:
        if word == "--":
            break
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            options[name] = value if equals else next(rest) if name in TAKES_VALUE else ""
        else:
            words.append(word)
    return options, words


def _documents(path: str) -> list[Raw]:
    return [one for one in yaml.load_all(Path(path).read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if one]


@contextmanager
def running(directory: Path) -> Iterator[tuple[Cluster, Path]]:
    """A cluster, and the folder with its kubectl and oc."""
    cluster, lock, address = Cluster(), threading.Lock(), address_of(str(directory))

    def serve(client: Client) -> None:
        with lock:                                      # one call at a time
            status, out, err = cluster.answer(client.request()[1:])
        client.answer(status, out, err)

    tools = directory / "bin"
    install(address, str(tools), ["kubectl", "oc"])
    (tools / "sleep").write_text("#!/bin/sh\n")         # what is waited for has happened when it is looked at again
    (tools / "sleep").chmod(0o755)
    server = Server(address, serve)
    server.start()
    try:
        yield cluster, tools
    finally:
        server.stop()
