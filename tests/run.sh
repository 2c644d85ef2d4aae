#!/usr/bin/env bash
# Installs what the tests need, builds, runs every suite. One line a suite, a total last.
set -uo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root" || exit 1

all=(lint unit asan tsan fuzz e2e e2e-asan)
usage() {
    cat <<USAGE
usage: tests/run.sh [--long] [--no-install] [SUITE...]

Suites: ${all[*]} (default: all). Builds are kept in build/, logs in build/logs/.

  lint      layers, banned calls, format, spelling, what hq links
  unit      release build without warnings (gcc); unit tests, simulations, fuzz corpus
  asan      the same with address and undefined behaviour sanitizer, fault points, and by clang
            if there is one
  tsan      unit tests of the threaded parts with thread sanitizer
  fuzz      each decoder's fuzz target for a short while
  e2e       end-to-end tests on the release build
  e2e-asan  the core of them on the sanitizer build

A test that fails is run once more, end-to-end tests alone and up to five of them; one that
passes then is named in its line.

  --long        everything: long tests, long fuzzing, whole suites on sanitizer builds
  --no-install  do not try to install packages
USAGE
}

long='' install=1 suites=()
while (($#)); do
    case $1 in
    --long) long=1 ;;
    --no-install) install= ;;
    -h | --help) usage && exit 0 ;;
    -*) usage >&2 && exit 2 ;;
    *) [[ " ${all[*]} " == *" $1 "* ]] || { usage >&2 && exit 2; } && suites+=("$1") ;;
    esac
    shift
done
((${#suites[@]})) || suites=("${all[@]}")

jobs=$(nproc)
logs=$root/build/logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
began=$SECONDS

# ---- results ----

line() { # NAME PASSED FAILED SKIPPED SECONDS [REMARK]
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
    local verdict=ok
    (($3 == 0)) || verdict=FAILED
    printf '%-22s %-6s %4d passed %3d failed %3d skipped %5d s%s\n' \
        "$1" "$verdict" "$2" "$3" "$4" "$5" "${6:+  $6}"
}
tail_of() { [[ ! -s $1 ]] || tail -n "${2:-60}" -- "$1" | sed 's/^/    /'; }

# Counts of a JUnit file: passed failed skipped.
junit() {
    python3 - "$1" <<'PY'
import sys, xml.etree.ElementTree as tree
try:
    root = tree.parse(sys.argv[1]).getroot()
except (OSError, tree.ParseError):
    print(0, 1, 0)
    sys.exit()
total = bad = skipped = 0
for suite in ([root] if root.tag == "testsuite" else root.iter("testsuite")):
    count = lambda key: int(suite.get(key) or 0)
    total += count("tests")
    bad += count("failures") + count("errors")
    skipped += count("skipped") + count("disabled")
print(total - bad - skipped, bad, skipped)
PY
}

# ---- packages ----

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo "$@"
    else
        return 1
    fi
}

updated=
install_packages() { # what is missing of these; status 1 if that cannot be had
    local package missing=()
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] ||
            missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    [[ -n $install ]] && command -v apt-get >/dev/null || return 1
    if [[ -z $updated ]]; then
        as_root apt-get update -qq >>"$logs/packages.log" 2>&1 || return 1
        updated=1
    fi
    printf 'installing: %s\n' "${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends "${missing[@]}" </dev/null >>"$logs/packages.log" 2>&1
}

needed=(build-essential cmake ninja-build pkg-config libopenmpi-dev openmpi-bin
    libhwloc-dev libyaml-dev libsodium-dev libcunit1-dev libuv1-dev libjansson-dev
    libzstd-dev libxxhash-dev uthash-dev libncurses-dev python3 procps)
: >"$logs/packages.log"
if command -v dpkg-query >/dev/null; then
    install_packages "${needed[@]}" ||
        { printf 'missing packages; ask for:\n  apt-get install %s\n' "${needed[*]}" >&2; }
    # Each of these only widens what is tested.
    install_packages clang clang-format libclang-rt-14-dev || true
    install_packages python3-pytest python3-pytest-xdist || true
    install_packages codespell shellcheck mandoc || true
    install_packages libsqlite3-dev sqlite3 || true # export to it is not built without
    install_packages python3-venv python3-cloudpickle mypy || true # for the Python package
    install_packages snakemake || true # its tests are skipped without it
    if [[ -x ${HQ_SLURM_LAB:-$root/../shared/slurm-lab}/up ]]; then
        install_packages slurmctld slurmd slurm-client munge libpmix-dev iproute2 || true
    fi
fi

# ---- builds ----

declare -A built=()
build() { # NAME CMAKE-ARGUMENTS...: once; prints a line of its own when it fails
    local name=$1 start=$SECONDS launcher=()
    shift
    [[ -z ${built[$name]:-} ]] || return "${built[$name]}"
    built[$name]=0
    ! command -v ccache >/dev/null || launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    {
        cmake -S . -B "build/$name" -G Ninja "${launcher[@]}" "$@" &&
            cmake --build "build/$name" -j "$jobs" -- -k 0
    } </dev/null >"$logs/build-$name.log" 2>&1 || built[$name]=1
    if ((built[$name])); then
        line "build $name" 0 1 0 $((SECONDS - start))
        grep -E -A3 '(error|undefined reference|CMake Error)' "$logs/build-$name.log" |
            grep -v -E '^(ccache|/usr/bin)|^\[[0-9]+/|^FAILED:' | head -n 60 | sed 's/^/    /'
    else
        line "build $name" 1 0 0 $((SECONDS - start))
    fi
    return "${built[$name]}"
}
build_release() { build release --preset release -DHQ_WERROR=ON; }
build_tsan() { build tsan --preset tsan; }
# clang warns of what gcc does not, and has the fuzzer.
checked=clang
command -v clang >/dev/null || checked=asan
build_checked() { build "$checked" --preset "$checked"; }

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=0
export LSAN_OPTIONS=suppressions=$root/tests/sanitizers/leaks:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:suppressions=$root/tests/sanitizers/threads

# ---- suites ----

[[ -z $long ]] || export HQ_TEST_LONG=1

run_ctest() { # LINE BUILD FILTER...
    local name=$1 dir=build/$2 start=$SECONDS log
    shift 2
    log=$logs/${name// /-}
    ctest --test-dir "$dir" -j "$jobs" --timeout "$((long ? 3000 : 300))" --output-on-failure --no-tests=ignore \
        --repeat until-pass:2 --output-junit "$log.xml" "$@" </dev/null >"$log.log" 2>&1
    local counts again
    read -r -a counts < <(junit "$log.xml")
    again=$(sed -nE 's/^.*Test +#[0-9]+: ([^ ]+) .*\*\*\*(Failed|Timeout|Exception).*/\1/p' "$log.log" | sort -u | xargs)
    line "$name" "${counts[@]}" $((SECONDS - start)) "${again:+failed at first: $again}"
    ((counts[1] == 0)) || tail_of "$log.log"
}

python() { # prints a Python that has pytest, with xdist if there is one
    local candidate module
    for module in 'pytest, xdist' pytest; do
        for candidate in python3 /usr/bin/python3 "$root/build/venv/bin/python3"; do
            if "$candidate" -c "import $module" 2>/dev/null; then
                printf '%s\n' "$candidate"
                return
            fi
        done
        [[ $module == pytest || -z $install ]] || {
            python3 -m venv "$root/build/venv" &&
                "$root/build/venv/bin/pip" install -q pytest pytest-xdist
        } >>"$logs/packages.log" 2>&1
    done
    return 1
}

# The tests that failed, as arguments of pytest, each with a NUL behind it.
failed_in() {
    python3 - "$1" <<'PY'
import re, sys, xml.etree.ElementTree as tree
for case in tree.parse(sys.argv[1]).getroot().iter("testcase"):
    if case.find("failure") is not None or case.find("error") is not None:
        name = re.sub(r"@\w+$", "", case.get("name"))  # the group of xdist
        sys.stdout.write(f"{case.get('classname')}.py::{name}\0")
PY
}

call_pytest() { # INTERPRETER BUILD LOG ARGUMENTS...
    (
        cd tests/e2e || exit 1
        HQ_BUILD=$2 PYTHONDONTWRITEBYTECODE=1 "$1" -m pytest --junitxml "$3.xml" \
            --tb=short "${@:4}"
    ) </dev/null >"$3.log" 2>&1
}

run_pytest() { # LINE BUILD ARGUMENTS...
    local name=$1 dir=$root/build/$2 start=$SECONDS log interpreter parallel=() counts
    local again=() second remark=
    shift 2
    log=$logs/${name// /-}
    if ! interpreter=$(python); then
        line "$name" 0 1 0 0 'no pytest'
        return
    fi
    ! "$interpreter" -c 'import xdist' 2>/dev/null ||
        parallel=(-n $((jobs * 2)) --dist loadgroup)
    call_pytest "$interpreter" "$dir" "$log" "${parallel[@]}" "$@"
    read -r -a counts < <(junit "$log.xml")
    # Machines that build for others are late at times: a few get a second chance, alone.
    if ((counts[1] && counts[1] <= 5)); then
        mapfile -d '' again < <(failed_in "$log.xml")
        call_pytest "$interpreter" "$dir" "$log-again" "${again[@]}"
        read -r -a second < <(junit "$log-again.xml")
        ((second[0] != ${#again[@]} || second[1])) || {
            counts=($((counts[0] + counts[1])) 0 "${counts[2]}")
            remark="failed at first: ${again[*]}"
        }
    fi
    line "$name" "${counts[@]}" $((SECONDS - start)) "$remark"
    ((counts[1] == 0)) || {
        tail_of "$log.log" 150
        printf '    all of it: %s\n' "$log.log"
    }
}

suite_lint() {
    build_release # whether it worked or not: without it the check of links is skipped
    local start=$SECONDS counts
    LINT_COUNTS=$logs/lint.counts tests/lint/run build/release >"$logs/lint.log" 2>&1
    read -r -a counts <"$logs/lint.counts"
    line lint "${counts[@]}" $((SECONDS - start))
    ((counts[1] == 0)) || tail_of "$logs/lint.log"
}
suite_unit() {
    build_release || return
    run_ctest unit release
}
suite_asan() {
    build_checked || return
    run_ctest 'unit asan' "$checked"
}
suite_tsan() {
    build_tsan || return
    if [[ -n $long ]]; then
        run_ctest 'unit tsan' tsan
    else
        run_ctest 'unit tsan' tsan -R '^unit_(io|launch|worker|journal|outlog|server|client)_'
    fi
}
suite_fuzz() {
    local target seconds=5 start=$SECONDS good=0 bad=0 pids=() names=() i
    command -v clang >/dev/null || { line fuzz 0 0 1 0 'no clang' && return; }
    build_checked || return
    local targets=(build/clang/tests/fuzz/fuzz_*)
    [[ -z $long ]] || seconds=600
    reap() {
        for i in "${!pids[@]}"; do
            if wait "${pids[i]}"; then
                good=$((good + 1))
            else
                bad=$((bad + 1))
                printf '    %s\n' "${names[i]}"
                tail_of "$logs/${names[i]}.log" 40
            fi
        done
        pids=() names=()
    }
    for target in "${targets[@]}"; do
        [[ -f $target && -x $target ]] || continue
        local name=${target##*/}
        # New inputs go to the first directory, the corpus of the tree is only read.
        local inputs=("build/fuzz/$name" "tests/fuzz/corpus/${name#fuzz_}")
        mkdir -p "${inputs[0]}"
        [[ -d ${inputs[1]} ]] || unset 'inputs[1]'
        "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -verbosity=0 \
            -artifact_prefix="build/fuzz/$name-" "${inputs[@]}" \
            </dev/null >"$logs/$name.log" 2>&1 &
        pids+=($!) names+=("$name")
        ((${#pids[@]} < jobs)) || reap
    done
    reap
    line fuzz "$good" "$bad" 0 $((SECONDS - start)) "$seconds s a target"
}
suite_e2e() {
    build_release || return
    export HQ_TEST_PATIENCE=3 # a busy machine; nothing waits longer than it has to
    run_pytest e2e release
    unset HQ_TEST_PATIENCE
}
suite_e2e-asan() {
    build_checked || return
    export HQ_TEST_PATIENCE=4
    if [[ -n $long ]]; then
        run_pytest 'e2e asan' "$checked"
    else
        run_pytest 'e2e asan' "$checked" -m core
    fi
    unset HQ_TEST_PATIENCE
}

for suite in "${suites[@]}"; do
    "suite_$suite"
done

printf '\n%d s, logs in %s\n' $((SECONDS - began)) "${logs#"$root"/}"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0 && passed > 0))
