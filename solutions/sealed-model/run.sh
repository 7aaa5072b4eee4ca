#!/bin/sh
# The whole solution in the simulated TEE: predict, release, seal, serve, verify, query, and a receipt checked offline; then
# unmodified clients through the proxy. Takes the program from $SEALWRIGHT, or from the workspace's release build.
# Everything is made in a temporary folder; all servers end with this script. $PYTHON is one interpreter with clients, or several
# separated by blanks; with $REQUIRE_CLIENTS set, each test of a client must pass with one of them.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
sealwright=${SEALWRIGHT:-$here/../../target/release/sealwright}
work=$(mktemp -d)
servers=
stop() {
    # Reverse order of starting; each is a child of this script.
    for server in $servers; do kill "$server" 2>/dev/null && wait "$server" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

# start NAME COMMAND...: in the background, until it says that it is ready. Sets $address to what it says.
start() {
    name=$1
    shift
    "$@" --ready-file "$work/$name.ready" >"$work/$name.log" 2>&1 &
    server=$!
    servers="$server $servers"
    while ! [ -s "$work/$name.ready" ]; do
        kill -0 "$server" 2>/dev/null || { echo "$name ended early:" >&2; cat "$work/$name.log" >&2; exit 1; }
        sleep 0.1
    done
    address=$(cat "$work/$name.ready")
}

cd "$work"
echo "1. a simulated TDX machine boots"
"$sealwright" sim files machine >/dev/null
start site "$sealwright" sim boot site --files machine
"$sealwright" predict tdx --firmware machine/firmware.fd --kernel machine/kernel.efi --initrd machine/initrd.cpio \
    --cmdline "$(cat machine/cmdline)" --ram 2G --vmm sealwright-sim-1 --firmware-profile sealwright-sim-1 \
    -o reference.json >/dev/null

echo "2. a broker starts that trusts its root"
"$sealwright" broker init broker --anchor site/root.der >/dev/null
cp site/collateral.json broker/collateral/
cp reference.json broker/references/
start broker "$sealwright" broker serve broker --listen 127.0.0.1:0
broker=https://${address#https://}

echo "3. the model is sealed; its key goes to the broker"
"$sealwright" seal "$here/model.onnx" -o digits.sealed --name digits --key-uri kbs:///default/model-key/digits \
    --broker broker --url "$broker" >/dev/null

echo "4. a model server measures it, gets the key and serves"
start server "$sealwright" serve digits.sealed --broker "$broker" --broker-ca broker/tls/ca.pem \
    --backend sim:site/td.sock --listen 127.0.0.1:0
server_address=$address

trust="--collateral site --anchor site/root.der --reference reference.json --model-file digits.sealed"
echo "5. a client verifies the server, sends the held-out samples and compares"
# $trust is several words on purpose.
# shellcheck disable=SC2086
"$sealwright" query "$server_address" $trust --samples "$here/samples.json" --receipt receipt | tail -3
# shellcheck disable=SC2086
"$sealwright" receipt verify receipt/receipt.jws --evidence receipt/evidence.json --request receipt/request.bin \
    --response receipt/response.bin $trust >/dev/null
echo "   and its receipt holds, checked offline"

if command -v python3 >/dev/null; then
    echo "6. unmodified clients through the proxy"
    # shellcheck disable=SC2086
    start proxy "$sealwright" query "$server_address" $trust --listen 127.0.0.1:0
    for python in ${PYTHON:-python3}; do
        "$python" "$here/test_clients.py" "$address" --passed passed
    done
    if [ -n "${REQUIRE_CLIENTS:-}" ]; then
        "$python" "$here/test_clients.py" "$address" --passed passed --require-all
    fi
else
    echo "SKIPPED 6. unmodified clients: no python3"
fi
