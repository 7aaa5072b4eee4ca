// The built module over public evidence: the cases are those of the command line, crates/cli/tests/vectors.json.
// node test.cjs MODULE, with SEALWRIGHT_VECTORS, and SEALWRIGHT where the command line's answers are to be compared.
"use strict";

const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const path = require("node:path");
const test = require("node:test");

const { verify, kind } = require(path.resolve(process.argv[2]));
const vectors = process.env.SEALWRIGHT_VECTORS;
assert(existsSync(vectors), `SEALWRIGHT_VECTORS names no folder: ${vectors}`);
const file = (name) => new Uint8Array(readFileSync(path.join(vectors, name)));
const stem = (name) => path.basename(name, path.extname(name));
const cases = JSON.parse(readFileSync(path.join(__dirname, "../../crates/cli/tests/vectors.json"))).verify;
const sealwright = existsSync(process.env.SEALWRIGHT ?? "") ? process.env.SEALWRIGHT : undefined;

/** The request of a case. */
function request(one) {
  const request = { evidence: file(one.evidence), at: one.at, collateral: (one.collateral ?? []).map(file) };
  if (one.anchors) request.roots = Object.fromEntries(one.anchors.map((name) => [stem(name), file(name)]));
  for (const name of ["signature", "pcrs", "ima", "cel"]) if (one[name]) request[name] = file(one[name]);
  for (const [name, member] of [["event_log", "eventLog"], ["vtpm_quote", "vtpmQuote"], ["td_quote", "tdQuote"]]) {
    if (one[name]) request[member] = file(one[name]);
  }
  const words = [...(one.words ?? [])];
  while (words.length > 0) {
    const word = words.shift();
    if (word === "--without-crl") request.withoutCrl = true;
    else if (word === "--require") request.require = words.shift();
    else if (word === "--max-age") request.maxAge = Number(words.shift());
    else assert.fail(`no member of a request for ${word}`);
  }
  return request;
}

/** What the command line says of a case. */
function told(one) {
  const of = (flag, files) => (files ?? []).flatMap((name) => [flag, path.join(vectors, name)]);
  const words = ["verify", "--json", path.resolve(vectors, one.evidence), "--at", `${one.at}`, ...of("--collateral", one.collateral)];
  words.push(...of("--anchor", one.anchors), ...of("--signature", one.signature && [one.signature]));
  words.push(...of("--pcrs", one.pcrs && [one.pcrs]), ...of("--event-log", one.event_log && [one.event_log]));
  words.push(...of("--ima", one.ima && [one.ima]), ...of("--cel", one.cel && [one.cel]), ...of("--vtpm-quote", one.vtpm_quote && [one.vtpm_quote]));
  words.push(...of("--td-quote", one.td_quote && [one.td_quote]), ...(one.words ?? []));
  return JSON.parse(spawnSync(sealwright, words).stdout);
}

/** The value that a JSON pointer names. */
function at(value, pointer) {
  return pointer.split("/").slice(1).reduce((value, name) => value?.[name], value);
}

/** The first believed case of a kind of evidence. */
const believed = (tee) => cases.find((one) => one.tee === tee && one.exit === 0);

for (const one of cases) {
  test(`${one.evidence} at ${one.at} ${(one.words ?? []).join(" ")}: ${one.code ?? one.tee}`, () => {
    const verdict = verify(request(one));
    assert.equal(verdict.accepted, one.exit === 0, JSON.stringify(verdict.reason));
    assert.equal(verdict.reason?.code, one.code);
    assert.equal(verdict.facts?.tee, one.tee);
    for (const [pointer, wanted] of Object.entries(one.facts ?? {})) {
      assert.deepEqual(at(verdict.facts, pointer), wanted, pointer);
    }
    // Of what is no evidence the command line has more to say: what it is instead.
    if (sealwright && one.code !== "not-evidence") assert.deepEqual(verdict, told(one));
  });
}

test("the table has a believed case of every signature that the library knows", () => {
  for (const tee of ["tdx", "sgx", "snp", "csv", "tpm", "nitro", "nvidia", "cca"]) assert(believed(tee), tee);
});

test("evidence with a byte changed is refused, each with its code", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "sealwright-wasm-"));
  try {
    for (const [tee, place, code] of [
      ["tdx", 600, "quote-signature"],
      ["tdx", 60, "quote-signature"],
      ["tdx", 700, "qe-report-data"],
      ["sgx", 400, "quote-signature"],
      ["sgx", 60, "quote-signature"],
      ["sgx", 500, "qe-report-data"],
      ["snp", 0x90 * 2, "report-signature"],
      ["snp", 0x2a0 * 2, "report-signature"],
      ["csv", 100, "report-signature"],
      ["csv", 0x200, "csv-chain-signature"],
      ["tpm", 60, "quote-signature"],
      ["nitro", 1000, "wrong-issuer"],
      ["nvidia", 30, "evidence-signature"],
      ["cca", 200, "evidence-signature"],
      ["cca", 600, "evidence-signature"],
    ]) {
      const one = believed(tee);
      const whole = request(one);
      const evidence = whole.evidence.slice();
      // Of text, a hex digit becomes another one.
      const text = one.evidence.endsWith(".hex") || one.evidence.endsWith(".txt");
      evidence[place] = text ? (evidence[place] === 0x30 ? 0x31 : 0x30) : evidence[place] ^ 1;
      const verdict = verify({ ...whole, evidence });
      assert.equal(verdict.genuine, false, `${tee}, byte ${place}`);
      assert.equal(verdict.reason.code, code, `${tee}, byte ${place}`);
      if (sealwright) {
        const changed = path.join(folder, "evidence");
        writeFileSync(changed, evidence);
        assert.deepEqual(verdict, told({ ...one, evidence: changed }));
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a time outside the collateral's window is refused, be it a number or a date", () => {
  const whole = request(believed("tdx"));
  for (const at of [0, 4102444800, new Date("2100-01-01T00:00:00Z"), undefined]) {
    const verdict = verify({ ...whole, at });
    assert.equal(verdict.genuine, false, `${at}`);
    assert.match(verdict.reason.code, /expired|not-yet|window|valid/, verdict.reason.code);
  }
  assert.deepEqual(verify({ ...whole, at: new Date(whole.at * 1000 + 999) }), verify(whole));
});

test("a root in place of the vendors' is the only one", () => {
  const verdict = verify({ ...request(believed("tdx")), roots: { mine: file("snp/sev/roots/milan/ark.pem") } });
  assert.equal(verdict.genuine, false);
  assert.equal(verdict.reason.code, "untrusted-root");
});

test("what kind evidence is", () => {
  assert.equal(kind(request(believed("tdx")).evidence), "Intel quote");
  assert.equal(kind(request(believed("snp")).evidence), "AMD SEV-SNP attestation report");
  assert.equal(kind(new Uint8Array([1, 2, 3])), undefined);
  assert.equal(kind(new Uint8Array()), undefined);
});

test("a request that cannot be judged throws an error with the reason", () => {
  const whole = request(believed("tdx"));
  for (const [wrong, reason] of [
    [undefined, /a request: an object/],
    [null, /a request: an object/],
    ["evidence", /a request: an object/],
    [{}, /evidence: expected a Uint8Array/],
    [{ ...whole, evidence: "text" }, /evidence: expected a Uint8Array/],
    [{ ...whole, evidence: [1, 2] }, /evidence: expected a Uint8Array/],
    [{ ...whole, collateral: [] }, /needs Intel's collateral.*\(collateral\)/],
    [{ ...whole, collateral: whole.collateral[0] }, /collateral: expected an array/],
    [{ ...whole, collateral: [new Uint8Array([1])] }, /collateral\[0\] is no collateral/],
    [{ ...whole, collateral: [...whole.collateral, ...whole.collateral] }, /collateral\[1\].*a second one/],
    [{ ...whole, requires: "UpToDate" }, /no member requires/],
    [{ ...whole, require: "uptodate" }, /require: expected a TCB status/],
    [{ ...whole, require: "Revoked" }, /require: expected a TCB status/],
    [{ ...whole, at: -1 }, /at: expected/],
    [{ ...whole, at: 1.5 }, /at: expected/],
    [{ ...whole, at: NaN }, /at: expected/],
    [{ ...whole, at: "now" }, /at: expected/],
    [{ ...whole, at: new Date(NaN) }, /at: expected/],
    [{ ...whole, at: new Date(-1000) }, /at: expected/],
    [{ ...whole, maxAge: -1 }, /maxAge: expected/],
    [{ ...whole, withoutCrl: "no" }, /withoutCrl: expected/],
    [{ ...whole, roots: {} }, /roots: expected at least one/],
    [{ ...whole, roots: { mine: "text" } }, /roots\["mine"\]: expected a Uint8Array/],
    [{ ...whole, roots: { mine: new Uint8Array([1]) } }, /mine is no root certificate/],
    [{ ...whole, ima: new Uint8Array([1]) }, /before the IMA list.*\(eventLog\)/],
    [{ ...request(believed("nitro")), ima: new Uint8Array([1]) }, /\(ima\)/],
    [{ ...request(believed("nitro")), eventLog: new Uint8Array([1]) }, /\(eventLog\)/],
    [{ ...request(believed("tpm")), signature: undefined }, /\(signature\)/],
    [{ ...request(believed("tpm")), pcrs: undefined }, /\(pcrs\)/],
    [{ ...request(believed("tpm")), roots: undefined }, /\(roots\)/],
    [{ get evidence() { throw new Error("no"); } }, /evidence cannot be read/],
  ]) {
    assert.throws(() => verify(wrong), (error) => error instanceof Error && reason.test(error.message), `${reason}`);
  }
});

test("how long one verification takes, warm", (context) => {
  for (const tee of ["tdx", "sgx", "snp", "csv", "tpm", "nitro", "nvidia", "cca"]) {
    const whole = request(believed(tee));
    const times = [];
    for (let run = 0; run < 25; run++) {
      const begun = performance.now();
      verify(whole);
      times.push(performance.now() - begun);
    }
    times.sort((a, b) => a - b);
    context.diagnostic(`${tee}: ${times[12].toFixed(2)} ms, at best ${times[0].toFixed(2)} ms`);
  }
});
