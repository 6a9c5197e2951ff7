"""Answers with its parameters in the shape of the pack's results; two targets fail as the pack does."""

from st2common.runners.base_action import Action


class Echo(Action):
    """Stands in for the actions that need no workflow."""

    def run(self, **parameters):
        """(ok, result)."""
        if parameters.get("target") == "nowhere":
            return False, {
                "sentence": "the host 'nowhere' is not in the configuration.",
                "error": "UnknownHostError",
            }
        if parameters.get("target") == "blind":
            return False, {"sentence": "The datastore cannot be trusted.", "error": "StateError"}
        given = {name: value for name, value in parameters.items() if value}
        return True, {"sentence": "All is well.", **given, "incidents": [{"id": "a", "outcome": "healed"}]}
