"""Values become objects: defaults, fallbacks, spellings, refusals (AT-04 to AT-06, AT-09, AT-14, AT-15, AT-22)."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import arrays
from arrays.errors import ConfigError
from daemonset.render import CHART, files, masked, objects, schema
from daemonset.render.assign import assign
from daemonset.render.older import parse_version, suit
from daemonset.render.values import Values, checked
from tests.install.conftest import ARRAYS, TOKEN

DAEMONSET = Path(__file__).resolve().parents[2] / "daemonset"


def values(*assignments: str, **more: Any) -> Values:
    """The defaults with our arrays, `more` over them, and --set assignments."""
    found = files.over(files.defaults(), {"arrays": ARRAYS, **more})
    for text in assignments:
        assign(found, text)
    return checked(found)[0]


def made(of: Values) -> dict[tuple[str, str], Any]:
    return {(one["kind"], one["metadata"]["name"]): one for one in objects.objects(of, "storage")}


def pod(of: Values, kind: str) -> Any:
    return next(one for (its_kind, _), one in made(of).items() if its_kind == kind)["spec"]["template"]["spec"]


def environment(of: Values, kind: str) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in pod(of, kind)["containers"][0]["env"]}


def test_the_plain_manifests_are_what_the_defaults_render_to() -> None:
    """daemonset/*.yaml can be applied as they are, and say the same as install.sh and the chart without values."""
    plain = [one for path in ("rbac", "pure-flex-daemon", "pure-provisioner", "storageclasses")
             for one in yaml.safe_load_all((DAEMONSET / f"{path}.yaml").read_text())]
    assert [one for one in objects.objects(values(), "pure-flex") if one["kind"] != "Secret"] == plain


def test_the_explorer_is_there_when_it_is_wanted() -> None:
    """Its manifest is what `explorer.enabled=true` renders to; `kubectl apply -f daemonset/` leaves it out."""
    plain = list(yaml.safe_load_all((DAEMONSET / "optional/pure-explorer.yaml").read_text()))
    wanted = {(one["kind"], one["metadata"]["name"]) for one in plain}
    found = objects.objects(values("explorer.enabled=true"), "pure-flex")
    assert [one for one in found if (one["kind"], one["metadata"]["name"]) in wanted] == plain
    assert not wanted & set(made(values()))


def test_the_explorer_has_an_account_of_its_own() -> None:
    """Whatever the others run under; prefix, image and place follow the values."""
    wanted = values("explorer.enabled=TRUE,clusterrolebinding.serviceAccount.name=flex,namespace.pure=shop",
                    explorer={"nodeSelector": {"disk": "ssd"}})
    found = made(wanted)["Deployment", "pure-explorer"]["spec"]["template"]["spec"]
    assert (found["serviceAccountName"], found["nodeSelector"]) == ("pure-explorer", {"disk": "ssd"})
    assert {entry["name"]: entry["value"] for entry in found["containers"][0]["env"]}["PURE_K8S_NAMESPACE"] == "shop"


def test_the_defaults_are_the_published_ones() -> None:
    """AT-05; the image is this release."""
    found = values()
    assert environment(found, "DaemonSet") == {
        "PURE_DISCOVERY_CONF": "/etc/pure/pure.json", "PURE_FLASHARRAY_SAN_TYPE": "ISCSI", "PURE_K8S_NAMESPACE": "k8s",
        "PURE_DEFAULT_BLOCK_FS_TYPE": "xfs", "PURE_DEFAULT_BLOCK_FS_OPT": "-q", "PURE_DEFAULT_BLOCK_MNT_OPT": "",
        "PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT": "true", "PURE_PREEMPT_RWO_GRACE": "60",
        "PURE_UNMOUNT_NO_PATH_GRACE": "600", "PURE_ISCSI_ALLOWED_CIDRS": "", "PURE_ISCSI_LOGIN_TIMEOUT": "20",
        "PURE_FLEX_ATTACH": "false"}
    assert environment(found, "Deployment")["PURE_DEFAULT_ENABLE_FB_NFS_SNAPSHOT"] == "false"
    assert (found.image, found.pull_policy) == (f"purestorage/k8s:{arrays.__version__}", "IfNotPresent")
    assert found.flex_path == "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == arrays.__version__


def test_set_wins_and_its_two_forms_are_one() -> None:
    """AT-04"""
    commas = values("flasharray.sanType=fc,namespace.pure=k8s_xxx,orchestrator.name=openshift",
                    flasharray={"sanType": "ISCSI"})
    repeated = values("flasharray.sanType=fc", "namespace.pure=k8s_xxx", "orchestrator.name=openshift")
    assert made(commas) == made(repeated)
    assert environment(commas, "DaemonSet")["PURE_FLASHARRAY_SAN_TYPE"] == "FC"
    assert environment(commas, "Deployment")["PURE_K8S_NAMESPACE"] == "k8s_xxx"
    assert made(commas)[("DaemonSet", "pure-flex")]["metadata"]["labels"][objects.ORCHESTRATOR] == "openshift"


@pytest.mark.parametrize(("key", "top", "own"), [
    ("nodeSelector", {"disk": "ssd"}, {"zone": "a"}),
    ("tolerations", [{"key": "a", "operator": "Exists"}], [{"key": "b", "operator": "Exists"}]),
    ("affinity", {"nodeAffinity": {"x": 1}}, {"nodeAffinity": {"y": 2}}),
])
def test_a_workloads_own_placement_wins_over_the_deprecated_one(key: str, top: Any, own: Any) -> None:
    """AT-06, C-39"""
    both = values(**{key: top})
    assert pod(both, "DaemonSet")[key] == pod(both, "Deployment")[key] == top
    one = values(**{key: top, "flexDaemon": {key: own}})
    assert (pod(one, "DaemonSet")[key], pod(one, "Deployment")[key]) == (own, top)


def test_only_the_class_pure_follows_the_values() -> None:
    """AT-09"""
    found = made(values("storageclass.isPureDefault=true", "storageclass.pureBackend=file"))
    before = made(values())
    pure = found[("StorageClass", "pure")]
    assert pure["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert pure["parameters"] == {"backend": "file"}
    assert all(found["StorageClass", name] == before["StorageClass", name] for name in ("pure-block", "pure-file"))


def test_a_values_file_of_the_6x_releases_is_understood() -> None:
    """AT-14: aliases, lists, quoted booleans; what is for CSI only is told once each and nothing breaks."""
    later = {"clusterID": "purenewsolutions", "images": {"plugin": {"name": "x"}}, "storagetopology": {"enable": False},
             "database": {"resources": {}}, "nodeServer": {}, "maxSuspectSeconds": 600,
             "flasharray": {"defaultMountOpt": ["discard", "noatime"], "preemptAttachments": "true",
                            "iSCSILoginTimeout": 20},
             "flashblade": {"snapshotDirectoryEnabled": "False", "exportRules": "*(ro)"},
             "arrays": {"FlashBlades": [{"MgmtEndPoint": "1.2.3.6", "APIToken": "T-x", "NFSEndPoint": "1.2.3.7"}]}}
    found, warnings = checked(files.over(files.defaults(), later))
    daemon, provisioner = environment(found, "DaemonSet"), environment(found, "Deployment")
    assert daemon["PURE_DEFAULT_BLOCK_MNT_OPT"] == "discard,noatime" and daemon["PURE_ISCSI_LOGIN_TIMEOUT"] == "20"
    assert daemon["PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT"] == "true"
    assert provisioner["PURE_K8S_NAMESPACE"] == "purenewsolutions" and provisioner["PURE_FLASHBLADE_EXPORT_RULES"] == "*(ro)"
    assert len(warnings) == 5 and "values: storagetopology is for CSI only and was left out" in warnings


@pytest.mark.parametrize(("assignment", "said"), [
    ("namespace.pure=" + "a" * 23, "1 to 22 letters, digits and underscores"),
    ("namespace.pure=a-b", "namespace.pure"), ("clusterID=a.b", "clusterID"),
    ("flasharray.sanType=nvme", "flasharray.sanType: \"nvme\" is not ISCSI or FC"),
    ("orchestrator.name=swarm", "orchestrator.name: \"swarm\" is not one of k8s, openshift"),
    ("flasharray.preemptAttachments=maybe", "flasharray.preemptAttachments"),
    ("flasharray.iSCSILoginTimeout=soon", "seconds: 20 or 20sec"), ("flexPath=relative", "flexPath"),
    ("platform=beos", "platform"), ("storageclass.pureBackend=tape", "storageclass.pureBackend"),
    ("flasharray.sanType=null", "flasharray.sanType must be set"), ("arrays=null", "arrays must be set"),
    ("arrays.FlashArrays[0].MgmtEndPoint=", "arrays.FlashArrays[0].MgmtEndPoint"),
    ("tolerations=x", "tolerations"), ("flasharray=x", "flasharray"),
])
def test_what_cannot_be_is_refused_by_its_place(assignment: str, said: str) -> None:
    """AT-15 among others."""
    with pytest.raises(ConfigError) as refused:
        values(assignment)
    assert said in str(refused.value) and TOKEN not in str(refused.value)


def test_the_longest_prefix_is_taken() -> None:
    """AT-15"""
    assert values("namespace.pure=" + "a_" * 11).prefix == "a_" * 11


def test_two_prefixes_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="same thing"):
        values("namespace.pure=one,clusterID=two")
    assert values("namespace.pure=one,clusterID=one").prefix == "one"


@pytest.mark.parametrize(("assignment", "path"), [
    ("flexPath=/etc/kubernetes/volumeplugins/", "/etc/kubernetes/volumeplugins"),
    ("platform=openshift-atomic", "/etc/origin/kubelet-plugins/volume/exec"),
    ("platform=gke,flexPath=/own/path", "/own/path"),
])
def test_the_plugin_directory_is_normalised(assignment: str, path: str) -> None:
    """AT-22, AT-24"""
    volumes = pod(values(assignment), "DaemonSet")["volumes"]
    assert [volume["hostPath"]["path"] for volume in volumes if volume["name"] == "kubelet-plugins"] == [path]


def test_debug_is_passed_to_both_programs() -> None:
    """The subcommand stays last for the daemon."""
    found = values("app.debug=true")
    assert pod(found, "DaemonSet")["containers"][0]["command"] == [
        "/pure-flex-daemon", "--kubeletBaseDir=/kubelet-plugins", "--debug", "--daemon", "install"]
    assert pod(found, "Deployment")["containers"][0]["command"][-1] == "--debug"


def test_an_entry_that_could_not_be_used_is_refused_at_once() -> None:
    """At run time it would be left out; here a person is there to mend it."""
    with pytest.raises(ConfigError, match=r"FlashBlades\[0\]: add NfsEndPoint"):
        values(arrays={"FlashBlades": [{"MgmtEndPoint": "1.2.3.6", "APIToken": "T-x"}]})


@pytest.mark.parametrize(("text", "wanted"), [
    ("a=1,b=true,c=null,d=x,e=007", {"a": 1, "b": True, "d": "x", "e": "007"}),
    ("a.b.c=1", {"a": {"b": {"c": 1}}}), ("a[1].b=x", {"a": [None, {"b": "x"}]}), ("a={x,1,true}", {"a": ["x", 1, True]}),
    (r"a=x\,y,b=z", {"a": "x,y", "b": "z"}), (r"a\.b=1", {"a.b": 1}), ("a=", {"a": ""}), ("a=b=c", {"a": "b=c"}),
    ("a={}", {"a": []}),
])
def test_set_reads_as_helm_does(text: str, wanted: dict[str, Any]) -> None:
    found: dict[str, Any] = {}
    assign(found, text)
    assert found == wanted


@pytest.mark.parametrize("text", ["a", "=1", "a..b=1", "a[x]=1", "a[99999]=1", "a[0=1"])
def test_set_refuses_what_it_cannot_read(text: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        assign({}, text)


@given(st.text(max_size=40))
def test_set_never_breaks(text: str) -> None:
    """Whatever is typed is put in or refused."""
    try:
        assign({"a": {"b": [1]}}, text)
    except ConfigError:
        pass


def test_a_key_written_twice_is_refused(tmp_path: Path) -> None:
    """PyYAML would keep the last one: half of the arrays would be gone."""
    (tmp_path / "twice.yaml").write_text("arrays:\n  FlashArrays: []\n  FlashArrays: []\n")
    with pytest.raises(ConfigError, match="line 2: FlashArrays is written twice"):
        files.read(tmp_path / "twice.yaml")


def test_a_broken_file_is_told_without_its_content(tmp_path: Path) -> None:
    """A token may stand in the line that cannot be read."""
    (tmp_path / "broken.yaml").write_text(f'arrays: {{"APIToken": "{TOKEN}')
    with pytest.raises(ConfigError) as refused:
        files.read(tmp_path / "broken.yaml")
    assert TOKEN not in str(refused.value)


def test_masked_text_shows_everything_but_tokens() -> None:
    shown = masked.for_eyes(objects.objects(values(), "storage"))
    assert TOKEN not in shown and "127.0.0.1:1" in shown and masked.MASK in shown
    secret = next(one for one in yaml.safe_load_all(shown) if one["kind"] == "Secret")
    assert json.loads(secret["stringData"]["pure.json"])["FlashArrays"][0]["Labels"] == {"rack": "22", "env": "prod"}


@pytest.mark.parametrize(("version", "workloads", "priority"), [
    ("1.6", "extensions/v1beta1", False), ("v1.8.4", "extensions/v1beta1", False), ("1.9", "apps/v1", False),
    ("1.16+", "apps/v1", False), ("1.17.0-gke.1", "apps/v1", True), ("v1.34.4", "apps/v1", True),
])
def test_older_servers_get_what_they_know(version: str, workloads: str, priority: bool) -> None:
    found = suit(objects.objects(values(), "storage"), parse_version(version))
    daemon = next(one for one in found if one["kind"] == "DaemonSet")
    assert daemon["apiVersion"] == workloads
    assert ("priorityClassName" in daemon["spec"]["template"]["spec"]) == priority


def test_the_schema_uses_no_word_that_would_be_passed_over() -> None:
    def words(rule: Any, names: bool = False) -> set[str]:
        if not isinstance(rule, dict):
            return set()
        own = set() if names else set(rule)
        return own.union(*(words(item, key in ("properties", "definitions") and not names) for key, item in rule.items()),
                         *(words(choice) for choice in rule.get("anyOf", ())))
    assert words(schema.schema()) <= schema.KNOWN


def test_schema_and_table_name_the_same_platforms() -> None:
    assert {name for name in schema.schema()["properties"]["platform"]["enum"] if name} == set(files.platforms())
