# Sealwright's default attestation policy: it affirms what it knows and refuses everything else.
#
# input   the verified facts about one environment, as `sealwright verify --json` prints them
# data    reference.sets     the reference values in force at input.at: [{"name", "source", "tee", "values": {claim: [hex]}}]
#         reference.expired  the names of the sets that were left out because they are no longer in force
#         trust              what the configuration accepts beyond this policy's own list
#
# A check passes only if a rule adds its code to `holds`, or if its value is among the references. A fact that is
# missing, misspelt or of another type makes no rule true, so its check fails. Nothing here compares by order: Rego
# orders values of different types, and 5 >= null is true.
package policy

# What the result claims of the environment (draft-ietf-rats-ar4si): a claim has its good value when every check that
# weighs on it passes, and else the worst value that a check gives it.
trust_claims := {claim: max({good} | {value | value := failed[_].of.weighs[claim]}) |
	some claim, good in affirmed
} if count(checks) > count(requirements)

affirmed := {"hardware": hardware, "configuration": 2, "executables": 3, "runtime-opaque": 2}

# 2 is genuine. -2, a private value, is genuine with a TCB status that the configuration accepts by name.
hardware := 2 if input.tcb.status == "UpToDate" else := -2

failed := [check | some check in checks; check.outcome != "passed"]

# Each check says its outcome, and in `of` what is the same for every input. The engine merges the two, and fills in as
# `actual` what the input holds at the claim's path.
checks := array.concat(requirement_checks, measurement_checks)

# ---- What must hold of the platform and its log ---------------------------------------------------------------------

requirement_checks := [{"of": requirement, "outcome": outcomes[requirement.code.passed in codes]} |
	codes := holds
	some requirement in requirements
]

outcomes := {true: "passed", false: "failed"}

requirements := array.concat(of_every_environment, of_environment[input.tee]) if of_environment[input.tee]

else := of_every_environment

of_every_environment := [
	{
		"code": {"passed": "tee-supported", "failed": "tee-unsupported"},
		"claim": "tee",
		"expected": "tdx or sgx",
		"weighs": {"hardware": 97},
		"remedy": "use a policy that knows this kind of environment",
	},
	{
		"code": {"passed": "anchor-accepted", "failed": "anchor-not-accepted"},
		"claim": "anchor.name",
		"expected": "a hardware vendor's root, or one that the configuration accepts by name",
		"weighs": {"hardware": 97},
		"remedy": "if this root is meant to be trusted, add its name or fingerprint to the accepted anchors",
	},
	{
		"code": {"passed": "tcb-not-revoked", "failed": "tcb-revoked"},
		"claim": "tcb.status",
		"expected": "any status but Revoked",
		"weighs": {"hardware": 96},
		"remedy": "move the workload to another platform: the vendor no longer vouches for this one",
	},
	{
		"code": {"passed": "tcb-accepted", "failed": "tcb-not-accepted"},
		"claim": "tcb.status",
		"expected": "UpToDate, or a status that the configuration accepts by name",
		"weighs": {"hardware": 32},
		"remedy": "update the platform's firmware and microcode, or accept this status by name",
	},
	{
		"code": {"passed": "advisories-accepted", "failed": "advisory-not-accepted"},
		"claim": "tcb.advisories",
		"expected": "only advisories that the configuration accepts, if it lists any",
		"weighs": {"hardware": 32},
		"remedy": "read the advisories, then update the platform or add them to the accepted ones",
	},
	{
		"code": {"passed": "debug-off", "failed": "debug-on"},
		"claim": "debug",
		"expected": "false",
		"weighs": {"configuration": 96, "runtime-opaque": 96},
		"remedy": "start the environment without debugging: its host can read and change all of its memory",
	},
]

of_environment := {"tdx": [
	{
		"code": {"passed": "log-present", "failed": "log-missing"},
		"claim": "log.present",
		"expected": "true",
		"weighs": {"executables": 33},
		"remedy": "send the event log with the quote; without it nobody knows what the registers stand for",
	},
	{
		"code": {"passed": "registers-explained", "failed": "register-unexplained"},
		"claim": "log.enforced",
		"expected": "rtmr0, rtmr1 and rtmr2, and rtmr3 unless it is zero",
		"weighs": {"executables": 33},
		"remedy": "log every extension of RTMR3 as a runtime event behind the boot log",
	},
	{
		"code": {"passed": "sept-ve-disabled", "failed": "sept-ve-enabled"},
		"claim": "tdx.sept_ve_disable",
		"expected": "true, or attributes that the reference values name (td_attributes)",
		"weighs": {"configuration": 96},
		"remedy": "start the domain with SEPT_VE_DISABLE: without it its host takes pages away and injects exceptions at will",
	},
	{
		"code": {"passed": "service-td-known", "failed": "service-td-unknown"},
		"claim": "tdx.mr_service_td",
		"expected": "zero, or a service domain that the reference values name (mr_service_td)",
		"weighs": {"configuration": 96},
		"remedy": "start the domain without a service domain, or name the one that may be bound to it",
	},
	{
		"code": {"passed": "initial-service-td-known", "failed": "initial-service-td-unknown"},
		"claim": "tdx.init_service_td_hash",
		"expected": "servtd_ext false, or zero, or a service domain that the reference values name (init_service_td_hash)",
		"weighs": {"configuration": 96},
		"remedy": "start the domain without SERVTD_EXT, or name the service domain that may be bound to it first",
	},
	{
		"code": {"passed": "current-service-td-known", "failed": "current-service-td-unknown"},
		"claim": "tdx.cur_service_td_hash",
		"expected": "servtd_ext false, or a service domain that the reference values name (cur_service_td_hash)",
		"weighs": {"configuration": 96},
		"remedy": "start the domain without SERVTD_EXT, or name the service domains that may be bound to it by now",
	},
	{
		"code": {"passed": "migration-known", "failed": "migration-unknown"},
		"claim": "tdx.migratable",
		"expected": "false, or a migration service that the reference values name (mr_service_td)",
		"weighs": {"configuration": 96},
		"remedy": "start the domain without the MIGRATABLE attribute: its memory can be moved to where nobody looked",
	},
]}

holds contains "tee-supported" if input.tee in {"tdx", "sgx"}

holds contains "anchor-accepted" if input.anchor.kind == "vendor"

holds contains "anchor-accepted" if input.anchor.name in data.trust.accepted_anchors

holds contains "anchor-accepted" if input.anchor.sha256 in data.trust.accepted_anchors

holds contains "tcb-not-revoked" if {
	is_string(input.tcb.status)
	input.tcb.status != "Revoked"
}

holds contains "tcb-accepted" if input.tcb.status == "UpToDate"

holds contains "tcb-accepted" if input.tcb.status in data.trust.accepted_statuses

holds contains "advisories-accepted" if {
	is_array(input.tcb.advisories)
	data.trust.accepted_advisories == "any"
}

holds contains "advisories-accepted" if {
	is_array(input.tcb.advisories)
	every advisory in input.tcb.advisories { advisory in data.trust.accepted_advisories }
}

holds contains "debug-off" if input.debug == false

holds contains "log-present" if input.log.present == true

holds contains "registers-explained" if {
	{"rtmr0", "rtmr1", "rtmr2", "rtmr3"} - {register | some register in input.log.enforced} == set()
}

holds contains "registers-explained" if {
	{"rtmr0", "rtmr1", "rtmr2"} - {register | some register in input.log.enforced} == set()
	input.tdx.rtmr3 == zero
}

holds contains "sept-ve-disabled" if input.tdx.sept_ve_disable == true

holds contains "sept-ve-disabled" if {
	some set in data.reference.sets
	input.tdx.td_attributes in set.values.td_attributes
}

holds contains "service-td-known" if input.tdx.mr_service_td == zero

holds contains "service-td-known" if input.tdx.mr_service_td in service_domains

# Reports of TDX 1.0 have no such register, and its domains no such service.
holds contains "service-td-known" if input.tdx.body == "td10"

service_domains contains value if {
	some set in data.reference.sets
	some value in set.values.mr_service_td
}

# With SERVTD_EXT the host may bind another service domain while the domain runs. Each of them had the domain's memory in
# its hands: the first one, for it chose whom it handed over to, and the one of now. A domain to which none is bound now
# can get any the next moment.
holds contains "initial-service-td-known" if input.tdx.servtd_ext == false

holds contains "initial-service-td-known" if input.tdx.init_service_td_hash == zero

holds contains "initial-service-td-known" if {
	some set in data.reference.sets
	input.tdx.init_service_td_hash in set.values.init_service_td_hash
}

holds contains "current-service-td-known" if input.tdx.servtd_ext == false

holds contains "current-service-td-known" if {
	some set in data.reference.sets
	input.tdx.cur_service_td_hash in set.values.cur_service_td_hash
}

holds contains "migration-known" if input.tdx.migratable == false

holds contains "migration-known" if input.tdx.mr_service_td in service_domains

zero := "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"

# ---- What must be measured ------------------------------------------------------------------------------------------

# The least that a set of reference values must speak for. Whatever else it names must agree as well.
required := {"tdx": {"mrtd", "rtmr0", "rtmr1", "rtmr2"}, "sgx": {"mr_enclave"}}

facts := input[input.tee]

candidates := [set | some set in data.reference.sets; set.tee == input.tee]

# Per candidate, the claims that it speaks for, or has to, and that the facts do not match.
compared := [{"set": set, "mismatches": mismatches} |
	some set in candidates
	matching := {claim | some claim, values in set.values; facts[claim] in values}
	mismatches := ((required[input.tee] | object.keys(set.values)) - matching) - explained(set)
]

# RTMR3 is zero when the boot ends, and what runs later extends it: a prediction of zero is kept by a log that explains
# the extensions.
explained(set) := {"rtmr3" | zero in set.values.rtmr3; "rtmr3" in input.log.enforced}

# One set must agree as a whole: the firmware of one set and the kernel of another were never predicted together. The
# set that disagrees least is the one to explain.
closest := [pair | some pair in compared; count(pair.mismatches) == fewest][0]

fewest := min([count(pair.mismatches) | some pair in compared])

measurement_checks := array.concat(matches, differences) if closest

else := array.concat(no_reference, unchecked)

matches := [check |
	best := closest
	some claim, values in best.set.values
	not claim in best.mismatches
	check := {
		"code": "measurement-matches",
		"outcome": "passed",
		"claim": concat(".", [input.tee, claim]),
		"expected": values,
		"source": best.set.source,
	}
]

differences := [check |
	some claim in closest.mismatches
	check := object.union(
		{
			"of": object.get(measured, claim, other_measured),
			"outcome": "failed",
			"claim": concat(".", [input.tee, claim]),
			"source": closest.set.source,
		},
		expectation(claim),
	)
]

expectation(claim) := {"expected": closest.set.values[claim]} if claim in object.keys(closest.set.values)

else := {
	"code": "reference-missing",
	"expected": "a reference value for this claim",
	"remedy": "add a value for this claim to the reference values",
}

unchecked := [check |
	some claim in required[input.tee]
	check := {
		"of": object.get(measured, claim, other_measured),
		"code": "measurement-unchecked",
		"outcome": "not-reached",
		"claim": concat(".", [input.tee, claim]),
		"expected": "a reference value",
	}
]

no_reference := [{
	"of": {"weighs": {"executables": 33}},
	"code": "reference-expired",
	"outcome": "failed",
	"claim": "at",
	"expected": "reference values that are in force at this time",
	"source": concat(", ", data.reference.expired),
	"remedy": "predict the reference values again, or extend how long they hold",
}] if count(data.reference.expired) > 0

else := [{
	"of": {"weighs": {"executables": 33}},
	"code": "reference-missing",
	"outcome": "failed",
	"claim": "tee",
	"expected": "reference values for this kind of environment",
	"remedy": "give the reference values of the workload that is meant to run (sealwright predict)",
}]

measured := {
	"mrtd": {
		"code": {"passed": "measurement-matches", "failed": "measurement-differs"},
		"weighs": {"executables": 33},
		"remedy": "another firmware was started: start the one that was predicted, or predict the values from this one",
	},
	"rtmr0": {
		"code": {"passed": "measurement-matches", "failed": "measurement-differs"},
		"weighs": {"executables": 33},
		"remedy": "the firmware was configured otherwise (VMM, memory, ACPI tables, boot variables): predict for this machine",
	},
	"rtmr1": {
		"code": {"passed": "measurement-matches", "failed": "measurement-differs"},
		"weighs": {"executables": 33},
		"remedy": "another kernel or boot loader was started: start the one that was predicted, or predict from this one",
	},
	"rtmr2": {
		"code": {"passed": "measurement-matches", "failed": "measurement-differs"},
		"weighs": {"executables": 33},
		"remedy": "another command line or initrd was used: use the one that was predicted, or predict from this one",
	},
	"mr_enclave": {
		"code": {"passed": "measurement-matches", "failed": "measurement-differs"},
		"weighs": {"executables": 33},
		"remedy": "another enclave was loaded: load the one that was predicted, or predict the values from this one",
	},
}

other_measured := {
	"code": {"passed": "measurement-matches", "failed": "measurement-differs"},
	"weighs": {"executables": 33, "configuration": 96},
	"remedy": "start the environment as the reference values say, or write new ones",
}
