# Sealwright's default release policy: a resource goes only to an environment whose token affirms it, and that has shown
# the runtime events which the resource asks for.
#
# input   the claims of a verified token
# data    resource.path      repository/type/tag
#         resource.requires  {"runtime": {"domain/operation": [accepted, ...]}}, or nothing. The operation is what follows
#                            the last slash. An entry is accepted when it equals the event's content, or the member
#                            `digest` of a content that is a JSON object
package policy

default allow := false

allow if {
	count(checks) > 0
	every check in checks { check.outcome == "passed" }
}

checks := array.concat(requirement_checks, event_checks)

requirement_checks := [{"of": requirement, "outcome": object.get(held, requirement.code.passed, "failed")} |
	some requirement in requirements
]

held := {code: "passed" | some code in holds}

requirements := [
	{
		"code": {"passed": "token-affirming", "failed": "token-not-affirming"},
		"claim": "ear.status",
		"path": ["submods", "cpu0", "ear.status"],
		"expected": "affirming, for every part of the environment",
		"remedy": "read the token's reasons: the environment was not affirmed when it attested",
	},
	{
		"code": {"passed": "requirements-known", "failed": "requirement-unknown"},
		"claim": "resource.requires",
		"actual": "see the resource",
		"expected": "runtime, or nothing",
		"source": "the resource",
		"remedy": "correct what the resource requires: this policy knows runtime events only",
	},
]

holds contains "token-affirming" if {
	is_object(input.submods)
	input.submods != {}
	every appraisal in input.submods { appraisal["ear.status"] == "affirming" }
}

holds contains "requirements-known" if {
	is_object(requires)
	object.keys(requires) - {"runtime"} == set()
	is_object(runtime)
}

requires := object.get(data.resource, "requires", {})

runtime := object.get(requires, "runtime", {}) if is_object(requires)

# ---- Runtime events -------------------------------------------------------------------------------------------------

evidence := input.submods.cpu0["ear.veraison.annotated-evidence"]

# Events count only if the register that they were extended into was replayed from them. One whose operation has a slash
# has no name of its own here: the domain "a" with "b/c" would be taken for the domain "a/b" with "c".
shown contains [concat("/", [event.domain, event.operation]), accepted] if {
	"rtmr3" in evidence.log.enforced
	some event in evidence.log.runtime
	is_string(event.domain)
	is_string(event.operation)
	not contains(event.operation, "/")
	some accepted in names(event.content)
}

names(content) := {content, object.get(json.unmarshal(content), "digest", content)} if {
	is_string(content)
	json.is_valid(content)
	is_object(json.unmarshal(content))
} else := {content}

event_checks := [check |
	some event, accepted in runtime
	is_string(event)
	seen := [name | some [of_event, name] in shown; of_event == event]
	outcome := object.get(outcomes, count([name | some name in seen; name in accepted]) > 0, "failed")
	check := {
		"of": event_texts,
		"outcome": outcome,
		"claim": concat(" ", ["runtime event", event]),
		"expected": accepted,
		"actual": seen,
	}
]

outcomes := {true: "passed"}

event_texts := {
	"code": {"passed": "runtime-event-accepted", "failed": "runtime-event-not-accepted"},
	"source": "the resource",
	"remedy": "run the workload that the resource is meant for, or add its digest to what the resource requires",
}
