import os
import sys

from st2common.runners.base_action import Action


class Echo(Action):
    def run(self, **parameters):
        import tlib

        print("on stdout")
        self.logger.info("logged")
        return {
            "parameters": parameters,
            "config": dict(self.config),
            "environment": dict(os.environ),
            "lib": tlib.WORD,
            "argv": sys.orig_argv,
            "cwd_in_path": "" in sys.path or "/" in sys.path,
        }
