"""Pods: names above volumes; a stretched pod's volumes are the same, serial and all, on several arrays."""

from typing import TYPE_CHECKING

from simulator import rules
from simulator.refusal import Refusal
from simulator.state.objects import Pod

if TYPE_CHECKING:
    from simulator.state.array import ArrayState


class Pods:
    """The pods one array takes part in; a stretched one is the same object on each of its arrays."""

    def __init__(self, array: "ArrayState") -> None:
        self._array = array
        self._by_name: dict[str, Pod] = {}

    def all(self) -> list[Pod]:
        return list(self._by_name.values())

    def get(self, name: str) -> Pod:
        pod = self._by_name.get(name.lower())
        if pod is None:
            raise Refusal("Pod does not exist.", name)
        return pod

    def create(self, name: str) -> Pod:
        rules.check_name(name, "Pod")
        if name.lower() in self._by_name:
            raise Refusal("Pod already exists.", name)
        pod = Pod(name, [self._array])
        self._by_name[name.lower()] = pod
        return pod

    def stretch(self, name: str, other: "ArrayState") -> Pod:
        """Bring a pod and its volumes to another array as well."""
        pod = self.get(name)
        if other in pod.arrays:
            raise Refusal("Pod already exists on the array.", name)
        if name.lower() in other.pods._by_name:
            raise Refusal("Pod already exists.", name)
        pod.arrays.append(other)
        other.pods._by_name[name.lower()] = pod
        for volume in self._array.volumes.all():
            if volume.pod.lower() == name.lower():
                other.volumes.adopt(volume)
        return pod

    def delete(self, name: str) -> Pod:
        """Forget an empty pod on all its arrays."""
        pod = self.get(name)
        if any(volume.pod.lower() == pod.name.lower() for volume in self._array.volumes.all()):
            raise Refusal("Pod cannot be deleted because it is not empty.", name)
        for array in pod.arrays:
            del array.pods._by_name[pod.name.lower()]
        return pod

    def neighbours(self) -> "list[ArrayState]":
        """This array and all it shares a pod with."""
        found = {self._array: None}
        for pod in self._by_name.values():
            found.update(dict.fromkeys(pod.arrays))
        return list(found)
