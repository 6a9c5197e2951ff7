from st2common.runners.base_action import Action


def plain(value):
    if isinstance(value, list):
        return [[pair.name, pair.value] for pair in value]
    return value


class Store(Action):
    def run(self, calls):
        return [plain(getattr(self.action_service, name)(**kwargs)) for name, kwargs in calls]
