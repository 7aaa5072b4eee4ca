import init, { kind, verify } from "./pkg/sealwright.js";

const element = (id) => document.getElementById(id);
const bytes = async (file) => new Uint8Array(await file.arrayBuffer());
let run = 0;

async function judge() {
  const mine = ++run;
  const [file] = element("evidence").files;
  if (!file) return;
  let answer, verdict;
  try {
    await init();
    const evidence = await bytes(file);
    const collateral = await Promise.all([...element("collateral").files].map(bytes));
    const at = element("at").value ? new Date(`${element("at").value}Z`) : new Date();
    verdict = verify({ evidence, collateral, at, withoutCrl: element("without-crl").checked });
    const simulated = verdict.simulated ? "SIMULATED: it proves nothing about any hardware. " : "";
    answer = `${simulated}${verdict.accepted ? "Yes" : "No"}: ${verdict.reason?.message ?? `${kind(evidence)}, ${verdict.facts.tcb?.status ?? "genuine"}`}`;
  } catch (error) {
    answer = `Cannot be judged: ${error.message}`;
  }
  // Whoever chose another file meanwhile wants to know about that one.
  if (mine !== run) return;
  element("answer").textContent = answer;
  element("verdict").textContent = verdict ? JSON.stringify(verdict, null, 2) : "";
}

for (const input of document.querySelectorAll("input")) {
  input.addEventListener("change", judge);
  const place = input.type === "file" ? input.parentElement : undefined;
  place?.addEventListener("dragover", (event) => { event.preventDefault(); place.classList.add("over"); });
  place?.addEventListener("dragleave", () => place.classList.remove("over"));
  place?.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    input.files = event.dataTransfer.files;
    judge();
  });
}
