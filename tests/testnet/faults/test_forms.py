"""Faults as forms to fill in."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.faults import FAULTS, IN_SIMULATIONS_ONLY
from testnet.faults.catalogue import BadParameter, make, parameter_names
from testnet.faults.forms import forms
from tests.testnet.faults.kinds import NEEDED

FORMS = {form["kind"]: form for form in forms()}


def test_there_is_a_form_for_each_fault_that_real_nodes_can_have() -> None:
    assert list(FORMS) == [kind for kind in FAULTS if kind not in IN_SIMULATIONS_ONLY]
    for kind, form in FORMS.items():
        names = [field["name"] for field in form["fields"]]
        assert names == [name for name in parameter_names(FAULTS[kind]) if name in names]
        assert form["links"] == ("between" in parameter_names(FAULTS[kind]))


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_that_is_filled_in_with_its_defaults_makes_the_fault(kind: str) -> None:
    usual = {field["name"]: field["default"] for field in FORMS[kind]["fields"] if "default" in field}
    required = {field["name"] for field in FORMS[kind]["fields"] if field["required"]}
    assert required == set(NEEDED.get(kind, {}))
    make(kind, usual | NEEDED.get(kind, {}))


def test_fields_have_types_units_and_bounds() -> None:
    fields = {f"{kind}.{field['name']}": field for kind, form in FORMS.items() for field in form["fields"]}
    assert fields["latency.seconds"] == {
        "name": "seconds",
        "required": False,
        "default": 0.1,
        "type": "number",
        "least": 0.0,
        "unit": "seconds",
    }
    assert fields["reset.probability"]["most"] == 1.0
    assert (fields["reset.byte"]["type"], fields["reset.byte"]["default"]) == ("integer", None)
    assert fields["bit_flips.each"]["choices"] == ["byte", "piece"]
    assert fields["crash.node"]["type"] == "node"


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("latency", {"seconds": "x"}, "seconds"),
        ("latency", {"seconds": -1}, "seconds"),
        ("bandwidth", {}, "bytes_per_second"),
        ("crash", {"node": "*"}, "node"),
        ("partition", {"between": ["a.nec"]}, ""),
        ("partition", {"node": "no name"}, ""),
    ],
)
def test_what_is_wrong_names_its_field(kind: str, given: dict[str, Any], field: str) -> None:
    with pytest.raises(BadParameter) as caught:
        make(kind, given)
    assert caught.value.parameter == field
