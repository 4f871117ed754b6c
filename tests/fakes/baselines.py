"""The half of the fake hypervisor that knows which CPUs can be had: a model and features, as text."""

from collections.abc import Callable

from common.errors import NoBaselineError
from compute_agent.hypervisor.xml_text import XmlText


class FakeBaselines:
    """Tests change `offered` at will: features of one model."""

    def __init__(self, require_up: Callable[[], None]) -> None:
        self.offered_model = "EPYC"
        self.offered = {"aes", "avx2"}
        self._require_up = require_up

    def offered_cpu(self) -> str:
        self._require_up()
        return _cpu(self.offered_model, self.offered)

    def baseline_cpu(self, cpus: tuple[str, ...]) -> str:
        self._require_up()
        roots = [XmlText.parse(cpu).root for cpu in cpus]
        models = {root.text_of("model") for root in roots}
        if len(models) != 1:
            raise NoBaselineError(reason="CPU vendors do not match")
        features = [{feature.get("name") for feature in root.find_all("feature")} for root in roots]
        return _cpu(models.pop(), set.intersection(*features), attributes=" mode='custom' match='exact'")


def _cpu(model: str, features: set[str], *, attributes: str = "") -> str:
    lines = "".join(f"<feature policy='require' name='{name}'/>" for name in sorted(features))
    return f"<cpu{attributes}><model fallback='forbid'>{model}</model>{lines}</cpu>"
