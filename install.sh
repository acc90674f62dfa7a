#!/bin/sh
# Installs the FlexVolume driver pure/flex and its provisioner with kubectl (or oc); updates and uninstalls them.
#
# It decides and applies; what is applied is rendered by daemonset/render from the chart's values.yaml, so that this
# script and the chart in charts/pure-k8s-plugin install the same objects. POSIX sh.
set -eu

CHECKOUT=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
DAEMON=pure-flex
PROVISIONER=pure-provisioner
EXPLORER=pure-explorer
SECRET=pure-provisioner-secret
CLASSES='pure pure-block pure-file'
POD_SECURITY='pod-security\.kubernetes\.io/enforce'

usage() {
    cat <<'USAGE'
Usage: ./install.sh -f FILE [OPTION]...         install, or update what is installed
       ./install.sh --uninstall [OPTION]...     remove it; volumes, claims and data stay

  -f, --values FILE          a values file of the chart, or a pure.json; repeatable, later ones win
      --set KEY=VALUE[,...]  one value more; repeatable, wins over files
  -n, --namespace NAME       of the workloads (default: where it is installed, else pure-flex)
      --create-namespace     make the namespace if it is missing
      --orchestrator NAME    k8s (default) or openshift, which uses oc and grants the scc
      --platform NAME        sets flexPath: kubernetes, openshift, openshift-atomic, openshift4, atomic, coreos, aks,
                             gke, rke or kubespray
      --image NAME[:TAG]     the image of both workloads
      --node-selector K=V[,...]  run on nodes with these labels only
      --update               refuse unless it is installed already
      --dry-run              print what would be applied, tokens masked, and change nothing
      --debug                print the merged values and each command too
      --timeout SECONDS      how long the nodes may take (default 300)
  -y, --yes                  go on where a person would be asked
      --uninstall            remove the driver from the nodes, and what was installed
      --convert              print the arrays of a pure.json as YAML for a values file
      --version, -h, --help

Exit status: 0 done; 1 it did not work, or not on every node; 2 it was asked for in a way that cannot be.
USAGE
}

say() { printf '%s\n' "$*"; }
note() { printf 'install.sh: %s\n' "$*" >&2; }
warn() { note "warning: $*"; }
die() { note "$*"; exit 1; }
refuse() { note "$*"; note "see ./install.sh --help"; exit 2; }
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# The command line

parse() {
    [ $# -gt 0 ] || { usage >&2; exit 2; }
    while [ $# -gt 0 ]; do
        option=$1; shift
        check_dashes "$option"
        inline=
        case $option in --*=*) set -- "${option#*=}" "$@"; option=${option%%=*}; inline=yes ;; esac
        case $option in
            -f | --values | --set | -n | --namespace | --orchestrator | --platform | --image | --node-selector | --timeout)
                [ $# -gt 0 ] || refuse "$option needs a value"
                take_value "$option" "$1"; shift ;;
            *)
                [ -z "$inline" ] || refuse "$option takes no value, or is not known"
                take_switch "$option" ;;
        esac
    done
}

check_dashes() {    # what word processors and wikis make of "--"
    case $1 in
        –* | —* | ‒* | ‐* | −*)
            rest=$(printf '%s' "$1" | LC_ALL=C tr -d '\200-\377')
            refuse "$1 begins with a typographic dash, not with '-': write --${rest#-}" ;;
    esac
}

take_value() {
    case $1 in
        -f | --values) [ -r "$2" ] || refuse "cannot read $2: give -f a values.yaml or a pure.json"
                       FILES=yes; RENDER="$RENDER --values $(quoted "$2")" ;;
        --set) RENDER="$RENDER --set $(quoted "$2")" ;;
        -n | --namespace) NAMESPACE=$2 ;;
        --orchestrator)
            case $2 in
                k8s) ;;
                openshift) KUBECTL=oc ;;
                *) refuse "--orchestrator is k8s or openshift, not $2" ;;
            esac
            RENDER="$RENDER --set orchestrator.name=$2" ;;
        --platform) RENDER="$RENDER --set $(quoted "platform=$2")" ;;
        --image | --node-selector) RENDER="$RENDER $1 $(quoted "$2")" ;;
        --timeout) case $2 in '' | *[!0-9]*) refuse "--timeout is a number of seconds, not $2" ;; esac; TIMEOUT=$2 ;;
    esac
}

take_switch() {
    case $1 in
        --uninstall | --update | --convert) [ -z "$DOING" ] || refuse "$1 and --$DOING exclude each other"; DOING=${1#--} ;;
        --create-namespace) CREATE_NAMESPACE=yes ;;
        --dry-run) DRY_RUN=yes ;;
        --debug) DEBUG=yes ;;
        -y | --yes) YES=yes ;;
        --version) version; exit 0 ;;
        -h | --help) usage; exit 0 ;;
        -*) refuse "$1 is not known" ;;
        *) refuse "$1 is no option; a values file is given with -f" ;;
    esac
}

version() { say "pure-flex $(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$CHECKOUT/arrays/__init__.py")"; }

# The programs we call

k() {
    [ -z "$DEBUG" ] || note "+ $KUBECTL $*"
    "$KUBECTL" "$@"
}
kn() { k -n "$NAMESPACE" "$@"; }

need_kubectl() {
    command -v "$KUBECTL" >/dev/null || die "$KUBECTL is not on the PATH: install it, or run this where it is"
}

find_python() {    # the checkout's own, else one that has what the renderer needs
    for PYTHON in "$CHECKOUT/.venv/bin/python" python3; do
        "$PYTHON" -c 'import sys, yaml, click; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return
    done
    die "needs Python 3.11 with PyYAML and click: apt-get install python3-yaml python3-click (or dnf install python3-pyyaml" \
        "python3-click), or run 'make venv' here. The chart in charts/pure-k8s-plugin needs helm only"
}

render() {    # $@: more options of python -m daemonset.render
    eval "set -- $RENDER \"\$@\""
    with_checkout -m daemonset.render --namespace "$NAMESPACE" "$@" || exit 2
}

with_checkout() { PYTHONPATH=$CHECKOUT${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1 "$PYTHON" "$@"; }

fact() { sed -n "s/^$1=//p" "$WORK/facts"; }

# Looking before anything is changed

installed_namespace() {    # where the provisioner's rights are bound to
    k get clusterrolebinding pure-provisioner-rights --ignore-not-found -o 'jsonpath={.subjects[0].namespace}'
}

choose_namespace() {
    [ -n "$NAMESPACE" ] || NAMESPACE=$(installed_namespace)
    NAMESPACE=${NAMESPACE:-pure-flex}
}

check_server() {
    k version -o json >"$WORK/version.json" 2>"$WORK/error" || die "the cluster does not answer: $(tail -n 1 "$WORK/error")"
    SERVER=$(sed -n '/"serverVersion"/,$ s/.*"gitVersion": *"\([^"]*\)".*/\1/p' "$WORK/version.json" | head -n 1)
    [ -n "$SERVER" ] || die "the cluster does not tell its version: is the API server up, and this $KUBECTL logged in?"
    k api-versions >"$WORK/api-versions"
}

check_rights() {
    ! k auth can-i '*' '*' --all-namespaces >/dev/null 2>&1 || return 0
    missing=
    [ ! -e "$WORK/explorer.yaml" ] || more=services
    for what in serviceaccounts secrets daemonsets deployments roles rolebindings ${more:-}; do
        kn auth can-i create "$what" >/dev/null 2>&1 || missing="$missing $what"
    done
    for what in clusterroles clusterrolebindings storageclasses; do
        k auth can-i create "$what" >/dev/null 2>&1 || missing="$missing $what(cluster-wide)"
    done
    [ -z "$missing" ] || die "you may not create:$missing. Ask for cluster-admin, or for a person who has it"
}

check_namespace() {
    if [ -z "$(k get namespace "$NAMESPACE" --ignore-not-found -o name)" ]; then
        [ -n "$CREATE_NAMESPACE" ] || die "there is no namespace $NAMESPACE: $KUBECTL create namespace $NAMESPACE, or say" \
            "--create-namespace. Nothing was changed"
        return 0
    fi
    level=$(k get namespace "$NAMESPACE" -o "jsonpath={.metadata.labels.$POD_SECURITY}")
    case $level in
        baseline | restricted) die "namespace $NAMESPACE enforces Pod Security '$level', which forbids host paths:" \
            "$KUBECTL label namespace $NAMESPACE pod-security.kubernetes.io/enforce=privileged --overwrite" ;;
    esac
}

check_others() {
    owner=$(helm_release)
    [ -z "$owner" ] || die "helm installed this as release $owner: use helm upgrade $owner charts/pure-k8s-plugin -f ..., or" \
        "helm uninstall $owner first"
    elsewhere=$(installed_namespace)
    case $elsewhere in
        '' | "$NAMESPACE") ;;
        *) die "it is installed in namespace $elsewhere: say --namespace $elsewhere, or uninstall it there first" ;;
    esac
    [ "$DOING" != update ] || [ -n "$(kn get daemonset "$DAEMON" --ignore-not-found -o name)" ] ||
        die "nothing is installed in namespace $NAMESPACE, so there is nothing to update: leave --update out"
}

helm_release() {
    kn get daemonset "$DAEMON" --ignore-not-found -o 'jsonpath={.metadata.annotations.meta\.helm\.sh/release-name}'
}

look_at_live() {    # for what an update would take away
    kn get deployment "$PROVISIONER" --ignore-not-found -o json >"$WORK/deployment.json"
    kn get secret "$SECRET" --ignore-not-found -o json >"$WORK/secret.json"
    k get persistentvolumes -o json >"$WORK/pvs.json"
}

check_flex_path() {    # kubelet tells its configuration from 1.14 on, to who may proxy to nodes
    wanted=$(fact flex_path)
    for node in $(k get nodes -o 'jsonpath={.items[*].metadata.name}' | tr ' ' '\n' | head -n 20); do
        found=$(k get --raw "/api/v1/nodes/$node/proxy/configz" 2>/dev/null |
            sed -n 's/.*"volumePluginDir": *"\([^"]*\)".*/\1/p') || found=
        [ -z "$found" ] || [ "${found%/}" = "$wanted" ] || printf '%s\n' \
            "kubelet of node $node looks for drivers in $found, and flexPath is $wanted: it would not find this one" >>"$WORK/concerns"
    done
}

confirm_concerns() {
    [ -s "$WORK/concerns" ] || return 0
    while IFS= read -r concern; do warn "$concern"; done <"$WORK/concerns"
    confirm "Go on all the same?" || die "not confirmed, nothing was changed; --yes goes on all the same"
}

confirm() {
    [ -z "$YES" ] || return 0
    [ -t 0 ] || return 1
    printf '%s [y/N] ' "$1"
    read -r answer
    case $answer in [yY]*) ;; *) return 1 ;; esac
}

# Installing

install() {
    [ -n "$FILES" ] || case $RENDER in *arrays*) ;; *) refuse "no arrays: give a values.yaml or a pure.json with -f" ;; esac
    find_python
    if [ -n "$DRY_RUN" ]; then dry_run; return; fi
    render --reach --output "$WORK"
    [ "$(fact orchestrator)" != openshift ] || KUBECTL=oc
    need_kubectl
    choose_namespace
    check_server
    check_others
    check_rights
    check_namespace
    look_at_live
    render --quiet --output "$WORK" --live "$WORK" --kube-version "$SERVER" --api-versions "$WORK/api-versions"
    check_flex_path
    confirm_concerns
    apply_all
    wait_for_nodes
    wait_for_ready "$PROVISIONER" provisioner
    [ ! -e "$WORK/explorer.yaml" ] || wait_for_ready "$EXPLORER" explorer
    case $SERVER in
        v1.[0-7] | v1.[0-7].*) warn "kubelet $SERVER looks for drivers only when it starts: restart it once on each node" \
            "that has the driver for the first time" ;;
    esac
    say "done: $(version) in namespace $NAMESPACE. Claims of class pure, pure-block or pure-file get volumes now."
    [ ! -e "$WORK/explorer.yaml" ] || say "explorer: $KUBECTL -n $NAMESPACE port-forward service/$EXPLORER 9820, then" \
        "http://127.0.0.1:9820/ with any name and your token as password"
}

dry_run() {    # asks the server for nothing but its version, and does without
    NAMESPACE=${NAMESPACE:-pure-flex}
    render --quiet --output "$WORK"
    [ "$(fact orchestrator)" != openshift ] || KUBECTL=oc
    set -- --mask
    [ -z "$DEBUG" ] || set -- "$@" --debug
    if command -v "$KUBECTL" >/dev/null && k version -o json --request-timeout=5s >"$WORK/version.json" 2>/dev/null; then
        SERVER=$(sed -n '/"serverVersion"/,$ s/.*"gitVersion": *"\([^"]*\)".*/\1/p' "$WORK/version.json" | head -n 1)
        [ -z "$SERVER" ] || set -- "$@" --kube-version "$SERVER"
    fi
    render "$@"
    if [ "$(fact orchestrator)" = openshift ]; then say "# would run: oc $(scc add)"; fi
    note "dry run: nothing was changed"
}

apply_all() {
    if [ -z "$(k get namespace "$NAMESPACE" --ignore-not-found -o name)" ]; then
        say "namespace $NAMESPACE: making it"
        k create namespace "$NAMESPACE"
        k label namespace "$NAMESPACE" pod-security.kubernetes.io/enforce=privileged
    fi
    say "service account and rights"
    k apply -f "$WORK/rights.yaml"
    say "arrays: Secret $SECRET"
    # not apply: it would copy the tokens into an annotation
    if [ -n "$(kn get secret "$SECRET" --ignore-not-found -o name)" ]; then
        k replace -f "$WORK/secret.yaml"
    else
        k create -f "$WORK/secret.yaml"
    fi
    # shellcheck disable=SC2046     # words are meant
    if [ "$(fact orchestrator)" = openshift ]; then k $(scc add); fi
    say "driver on the nodes: DaemonSet $DAEMON"
    k apply -f "$WORK/daemon.yaml"
    say "provisioner: Deployment $PROVISIONER"
    k apply -f "$WORK/provisioner.yaml"
    put_explorer
    for class in $CLASSES; do apply_class "$class"; done
}

put_explorer() {    # off by default; one that is not wanted any more goes
    if [ -e "$WORK/explorer.yaml" ]; then
        say "explorer: Deployment $EXPLORER"
        k apply -f "$WORK/explorer.yaml"
    elif [ -n "$(kn get deployment "$EXPLORER" --ignore-not-found -o name)" ]; then
        remove_explorer
    fi
}

remove_explorer() {
    for what in deployment service serviceaccount; do kn delete "$what" "$EXPLORER" --ignore-not-found; done
    for what in clusterrolebinding clusterrole; do k delete "$what" "$EXPLORER" --ignore-not-found; done
}

apply_class() {
    case $(class_owner "$1") in
        '' | "$PROVISIONER") ;;
        *) warn "StorageClass $1 belongs to $(class_owner "$1") and was left alone; claims can use our other classes"; return ;;
    esac
    say "StorageClass $1"
    k apply -f "$WORK/class-$1.yaml" 2>"$WORK/error" && return
    # parameters of a class cannot be changed; claims know it by name only, so it can be made anew. Not when it was refused
    # for another reason: the new one would be too, with the old one gone
    grep -qE 'updates to .* forbidden|field is immutable' "$WORK/error" || die "$(cat "$WORK/error")"
    k get storageclass "$1" -o json >"$WORK/live.json"
    with_checkout -m daemonset.render.anew "$WORK/class-$1.yaml" "$WORK/live.json" >"$WORK/anew.yaml"
    k replace --force -f "$WORK/anew.yaml" || die "$(cat "$WORK/error")"
}

class_owner() { k get storageclass "$1" --ignore-not-found -o 'jsonpath={.provisioner}'; }

scc() {    # $1: add or remove
    case $1 in add) direction=to ;; *) direction=from ;; esac
    printf 'adm policy %s-scc-%s-user privileged system:serviceaccount:%s:%s' \
        "$1" "$direction" "$NAMESPACE" "${2:-$(fact service_account)}"
}

# Waiting

now() { date +%s; }

wait_for_nodes() {
    deadline=$(($(now) + TIMEOUT)) shown=
    while :; do
        progress=$(kn get daemonset "$DAEMON" -o 'jsonpath={.metadata.generation}/{.status.observedGeneration}/{.status.desiredNumberScheduled}/{.status.updatedNumberScheduled}/{.status.numberReady}') || progress=      # the API may be away for a moment
        IFS=/ read -r generation observed desired updated ready <<END
$progress
END
        line="nodes: ${ready:-0} of ${desired:-0} have the driver, ${updated:-0} of this version"
        [ "$line" = "$shown" ] || say "$line"
        shown=$line
        if [ "${observed:-0}" -ge "${generation:-1}" ] && [ "${updated:-0}" -eq "${desired:-0}" ] &&
           [ "${ready:-0}" -eq "${desired:-0}" ]; then break; fi
        [ "$(now)" -lt "$deadline" ] || { tell_nodes; die "after $TIMEOUT s the driver is not on every node"; }
        sleep 1
    done
    [ "${desired:-0}" -gt 0 ] || die "no node takes the DaemonSet: does any node have the labels of nodeSelector and affinity?"
    tell_nodes
}

node_pods() {    # node|pod|phase|ready|reason|message, a line each
    kn get pods -l "app=$DAEMON" -o 'jsonpath={range .items[*]}{.spec.nodeName}|{.metadata.name}|{.status.phase}|{.status.conditions[?(@.type=="Ready")].status}|{.status.containerStatuses[0].state.waiting.reason}|{.status.containerStatuses[0].state.waiting.message}{"\n"}{end}'
}

tell_nodes() {    # readiness says that `flex init` answered on the node
    node_pods >"$WORK/pods"
    while IFS='|' read -r node pod phase ready reason message; do
        if [ "$ready" = True ]; then
            say "  ${node:-?}: ready"
        else
            say "  ${node:-not scheduled}: NOT ready: $(why_not "$pod" "$phase" "$reason" "$message" "$node")"
        fi
    done <"$WORK/pods"
    cut -d '|' -f 1 "$WORK/pods" >"$WORK/served"
    for node in $(k get nodes -o 'jsonpath={.items[*].metadata.name}' | tr ' ' '\n' | grep -vxF -f "$WORK/served"); do
        warn "node $node is passed over by nodeSelector, affinity or tolerations: pods there get no volumes"
    done
}

why_not() {    # $1: pod, $2: phase, $3: reason, $4: message, $5: node
    if [ -n "$5" ]; then
        case $(k get node "$5" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null </dev/null) in
            '' | True) ;;
            *) printf 'the node itself is not Ready'; return ;;
        esac
    fi
    if [ -n "$3" ]; then printf '%s %s' "$3" "$4"; return; fi
    said=$(kn logs "$1" --tail=50 2>/dev/null </dev/null | grep ERROR | tail -n 1) || said=
    printf '%s' "${said:-pod $1 is $2; see $KUBECTL -n $NAMESPACE describe pod $1}"
}

wait_for_ready() {    # $1: Deployment, $2: what people call it
    deadline=$(($(now) + TIMEOUT))
    until is_ready "$1"; do
        [ "$(now)" -lt "$deadline" ] || die "after $TIMEOUT s the $2 is not ready: $(why_not_ready "$1")"
        sleep 1
    done
    say "$2: ready"
}

is_ready() {    # this version of it, not one that is about to end
    progress=$(kn get deployment "$1" -o 'jsonpath={.metadata.generation}/{.status.observedGeneration}/{.status.updatedReplicas}/{.status.availableReplicas}') || progress=
    IFS=/ read -r generation observed updated available <<END
$progress
END
    [ "${observed:-0}" -ge "${generation:-1}" ] && [ "${updated:-0}" -ge 1 ] && [ "${available:-0}" -ge 1 ]
}

why_not_ready() {    # what keeps its container from starting, else the last thing it complained of
    waiting=$(kn get pods -l "app=$1" -o 'jsonpath={.items[*].status.containerStatuses[0].state.waiting.reason}') || waiting=
    said=$(kn logs "deployment/$1" --tail=50 2>/dev/null </dev/null | grep -E 'WARNING|ERROR' | tail -n 1) || said=
    printf '%s' "${waiting:-${said:-see $KUBECTL -n $NAMESPACE describe deployment $1}}"
}

# Uninstalling: provisioner, driver on the nodes, then what is left. PVs, claims, volumes, connections, mounts and the
# namespace stay.

uninstall() {
    need_kubectl
    choose_namespace
    k version >/dev/null 2>"$WORK/error" || die "the cluster does not answer: $(tail -n 1 "$WORK/error")"
    owner=$(helm_release)
    [ -z "$owner" ] || die "helm installed this as release $owner: helm uninstall $owner"
    account=$(kn get daemonset "$DAEMON" --ignore-not-found -o 'jsonpath={.spec.template.spec.serviceAccountName}')
    account=${account:-pure}
    path=$(kn get daemonset "$DAEMON" --ignore-not-found -o 'jsonpath={.spec.template.spec.volumes[?(@.name=="kubelet-plugins")].hostPath.path}')
    warn_of_users
    if [ -n "$DRY_RUN" ]; then list_removals; return; fi
    stop_provisioner
    remove_from_nodes
    remove_objects
    say "done: PersistentVolumes, claims, volumes and namespace $NAMESPACE are as they were"
}

warn_of_users() {
    users >"$WORK/users" || { warn "cannot see which pods use volumes of ours"; return 0; }
    [ -s "$WORK/users" ] || return 0
    warn "pods use volumes of ours. They keep them, but without the driver kubelet cannot unmount or mount any: stop them first"
    while IFS= read -r user; do note "  $user"; done <"$WORK/users"
}

users() {
    k get persistentvolumes -o 'jsonpath={range .items[?(@.spec.flexVolume.driver=="pure/flex")]}{.spec.claimRef.namespace}/{.spec.claimRef.name}{"\n"}{end}' >"$WORK/claims"
    k get pods --all-namespaces -o 'jsonpath={range .items[*]}{.metadata.namespace}|{.metadata.name}|{.status.phase}|{range .spec.volumes[*]}{.persistentVolumeClaim.claimName} {end}{"\n"}{end}' |
        awk -F'|' -v file="$WORK/claims" '
            BEGIN { while ((getline line < file) > 0) ours[line] = 1 }
            $3 == "Running" || $3 == "Pending" || $3 == "Unknown" {
                count = split($4, names, " ")
                for (i = 1; i <= count; i++)
                    if (($1 "/" names[i]) in ours) print "pod " $1 "/" $2 " uses claim " $1 "/" names[i]
            }'
}

list_removals() {
    for what in "deployment/$PROVISIONER" "deployment/$EXPLORER" "service/$EXPLORER" "daemonset/$DAEMON" "secret/$SECRET" \
                "rolebinding/pure-provisioner-leader" "role/pure-provisioner-leader" "serviceaccount/$account" \
                "serviceaccount/$EXPLORER"; do
        found=$(kn get "$what" --ignore-not-found -o name)
        [ -z "$found" ] || say "would delete $what in namespace $NAMESPACE"
    done
    for what in clusterrolebinding/pure-provisioner-rights clusterrole/pure-provisioner-clusterrole \
                "clusterrolebinding/$EXPLORER" "clusterrole/$EXPLORER"; do
        [ -z "$(k get "$what" --ignore-not-found -o name)" ] || say "would delete $what"
    done
    for class in $CLASSES; do
        [ "$(class_owner "$class")" != "$PROVISIONER" ] || say "would delete storageclass/$class"
    done
    node_pods | while IFS='|' read -r node _; do say "would remove ${path:-the plugin directory}/pure~flex from node $node"; done
    note "dry run: nothing was changed"
}

stop_provisioner() {
    say "stopping the provisioner"
    kn delete deployment "$PROVISIONER" --ignore-not-found
    deadline=$(($(now) + 60))
    while [ -n "$(kn get pods -l "app=$PROVISIONER" -o name)" ]; do     # it gives its lock up at the end, with its rights
        [ "$(now)" -lt "$deadline" ] || { warn "the provisioner does not end; the next one waits until its lock runs out"; break; }
        sleep 1
    done
}

remove_from_nodes() {
    node_pods >"$WORK/pods"
    while IFS='|' read -r node pod _; do
        # The flag makes the daemon, which still runs, go on removing instead of putting the driver back. Where the driver
        # stays it goes again: left there, the daemon would remove the driver at the last unmount, however much later.
        flag=/tmp/.uninstall_start_flag
        if kn exec "$pod" -- /bin/sh -c "touch $flag; /pure-flex-daemon uninstall || { rm -f $flag; exit 1; }" \
                >"$WORK/said" 2>&1 </dev/null; then
            say "  $node: driver removed"
        else
            warn "the driver stays on node $node: $(tail -n 1 "$WORK/said"). Once that is done:" \
                "rm -r ${path:-PLUGIN_DIRECTORY}/pure~flex"
        fi
    done <"$WORK/pods"
}

remove_objects() {
    kn delete daemonset "$DAEMON" --ignore-not-found
    # shellcheck disable=SC2046     # words are meant
    if [ "$KUBECTL" = oc ]; then k $(scc remove "$account") || warn "the scc could not be taken from $account"; fi
    kn delete secret "$SECRET" --ignore-not-found
    kn delete rolebinding pure-provisioner-leader --ignore-not-found
    kn delete role pure-provisioner-leader --ignore-not-found
    kn delete serviceaccount "$account" --ignore-not-found
    kn delete lease "$PROVISIONER" --ignore-not-found 2>/dev/null || :        # unknown before 1.14
    k delete clusterrolebinding pure-provisioner-rights --ignore-not-found
    k delete clusterrole pure-provisioner-clusterrole --ignore-not-found
    remove_explorer
    for class in $CLASSES; do
        [ "$(class_owner "$class")" != "$PROVISIONER" ] || k delete storageclass "$class" --ignore-not-found
    done
}

main() {
    NAMESPACE='' KUBECTL=kubectl RENDER='' FILES='' DOING='' CREATE_NAMESPACE='' DRY_RUN='' DEBUG='' YES='' TIMEOUT=300
    parse "$@"
    umask 077
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    case $DOING in
        uninstall) uninstall ;;
        convert) find_python; NAMESPACE=pure-flex; render --convert ;;
        *) install ;;
    esac
}

main "$@"
