from st2common.runners.base_action import Action


class Give(Action):
    def run(self, what, ok, host):
        if what == "raise":
            raise RuntimeError("on purpose")
        if what == "pair":
            return (ok, {"ok": ok, "host": host})
        if what == "false":
            return False
        if what == "badpair":
            return ("yes", 1)
        if what == "object":
            return (True, object())
        if what == "big":
            print("y" * 2_000_000)
            return "z" * 1_000_000
        return what
