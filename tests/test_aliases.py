"""Chat: which texts each alias understands, what it makes of them, and what a text may not set."""

from __future__ import annotations

from pathlib import Path

import yaml
from st2tests.base import BaseActionAliasTestCase

ALIASES = Path(__file__).parents[1] / "aliases"
INCIDENT = "db01-20261121-104512"
DB01 = {"host": "db01", "asked_host": "db01"}
HEAL_DB01 = {**DB01, "approves": ""}


def of_pause(target, minutes="0", reason=""):
    return {"target": target, "target_again": target, "minutes": minutes, "reason": reason}


def all_formats():
    """Formats of all aliases of the pack: a text may fit one of them only."""
    found = []
    for file in sorted(ALIASES.glob("*.yaml")):
        for form in yaml.safe_load(file.read_text())["formats"]:
            found += form["representation"]
    return found


class AliasCase:
    """The case of one alias; a mix-in.

    `understood`: (text, number of the format, parameters); `refused`: texts that no alias understands;
    `pinned`: what `key=value` behind the first text would set, and StackStorm refuses to
    """

    understood = ()
    refused = ()
    pinned = ()

    def test_a_text_fits_one_format_and_gives_its_parameters(self):
        own = self.action_alias_db.get_format_strings()
        for text, number, parameters in self.understood:
            self.assertCommandMatchesExactlyOneFormatString(all_formats(), text)
            self.assertExtractedParametersMatch(own[number], text, parameters)
        used = {number for _, number, _ in self.understood}
        self.assertEqual(used, set(range(len(own))), "a format without a text")

    def test_other_texts_are_refused(self):
        for text in self.refused:
            with self.assertRaisesRegex(AssertionError, "didn't match any"):
                self.assertCommandMatchesExactlyOneFormatString(all_formats(), text)

    def test_a_text_cannot_set_what_is_pinned(self):
        """`key=value` is cut off a text and set, unless it is immutable."""
        text, number, parameters = self.understood[0]
        form = self.action_alias_db.get_format_strings()[number]
        for setting in self.pinned:
            name, _, value = setting.partition("=")
            self.assertExtractedParametersMatch(form, f"{text} {setting}", {**parameters, name: value})
            self.assertIn(name, self.action_alias_db.immutable_parameters)
        self.assertEqual(
            {s.partition("=")[0] for s in self.pinned}, set(self.action_alias_db.immutable_parameters)
        )


class ResetTestCase(AliasCase, BaseActionAliasTestCase):
    action_alias_name = "bmc_reset"
    understood = (
        ("bmc reset db01", 0, DB01),
        ("bmc reset host db01", 0, DB01),
        ("bmc reset host DB01.example.com ", 0, dict.fromkeys(DB01, "DB01.example.com")),
        # begin_heal refuses these with a sentence: see test_action_begin_heal.py
        ("bmc reset db01 db02", 0, {"host": "db01 db02", "asked_host": "db01"}),
        ("bmc reset host", 0, dict.fromkeys(DB01, "host")),
    )
    refused = ("bmc reset", "please bmc reset db01", "bmcreset db01")
    pinned = (
        "force=true",
        "dry_run=false",
        "rungs=oob",
        "source=cli",
        "key=x",
        f"approves={INCIDENT}",
        "reason=why",
    )


class HealTestCase(AliasCase, BaseActionAliasTestCase):
    action_alias_name = "bmc_heal"
    understood = (
        ("bmc heal db01", 0, HEAL_DB01),
        (f"bmc heal db01 {INCIDENT}", 0, {**DB01, "approves": INCIDENT}),
        (f"bmc heal db01 {INCIDENT} x", 0, {**DB01, "approves": f"{INCIDENT} x"}),
    )
    refused = ("bmc heal", "bmc healer db01")
    pinned = ("force=true", "dry_run=false", "rungs=oob", "source=sensor", "key=x", "reason=why")

    def test_a_text_that_names_two_hosts_shows_both(self):
        """begin_heal refuses then: see test_action_begin_heal.py."""
        form = self.action_alias_db.get_format_strings()[0]
        both = {**HEAL_DB01, "host": "db02"}
        self.assertExtractedParametersMatch(form, "bmc heal db01 host=db02", both)


class DiagnoseTestCase(AliasCase, BaseActionAliasTestCase):
    action_alias_name = "bmc_diagnose"
    understood = (("bmc diagnose db01", 0, {"host": "db01"}),)
    refused = ("bmc diagnose",)
    pinned = ("incident=x",)


class StatusTestCase(AliasCase, BaseActionAliasTestCase):
    action_alias_name = "bmc_status"
    understood = (("bmc status", 0, {"host": ""}), ("bmc status db01", 0, {"host": "db01"}))
    refused = ("bmc", "bmcstatus", "bmc statusdb01")


class SweepTestCase(AliasCase, BaseActionAliasTestCase):
    action_alias_name = "bmc_sweep"
    understood = (("bmc sweep", 0, {"label": ""}), ("bmc sweep rack:r12", 0, {"label": "rack:r12"}))
    refused = ("bmc", "bmc sweeprack:r12")


class PauseTestCase(AliasCase, BaseActionAliasTestCase):
    action_alias_name = "bmc_pause"
    understood = (
        ("bmc pause db01", 0, of_pause("db01")),
        ("bmc pause rack:r12 30", 0, of_pause("rack:r12", "30")),
        ("bmc pause fleet 30 switch work", 0, of_pause("fleet", "30", "switch work")),
        ("bmc pause db01 db02", 0, of_pause("db01", "db02")),  # no integer: StackStorm refuses
        ("bmc pause db01 target=fleet", 0, {**of_pause("db01"), "target": "fleet"}),  # refused by the action
    )
    refused = ("bmc pause", "bmc pausedb01")
    pinned = ("user=bob",)


class ResumeTestCase(AliasCase, BaseActionAliasTestCase):
    action_alias_name = "bmc_resume"
    understood = (
        ("bmc resume fleet", 0, {"target": "fleet", "target_again": "fleet"}),
        ("bmc resume credential:dell", 0, dict.fromkeys(("target", "target_again"), "credential:dell")),
        # refused by the action: see test_action_people.py
        ("bmc resume db01 target=fleet", 0, {"target": "fleet", "target_again": "db01"}),
    )
    refused = ("bmc resume", "bmc resumefleet")


class EveryAliasTestCase(BaseActionAliasTestCase):
    action_alias_name = "bmc_status"

    def test_every_alias_has_a_case(self):
        cases = {case.action_alias_name for case in AliasCase.__subclasses__()}
        self.assertEqual(cases, {file.stem for file in ALIASES.glob("*.yaml")})
