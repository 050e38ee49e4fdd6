"""What an empty drawing begins with: a start event, or a table with one column each way."""

from __future__ import annotations

from app.engines.drafts import Engine

_BPMN = """<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" \
xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" \
xmlns:{prefix}="{namespace}" xmlns:modeler="http://camunda.org/schema/modeler/1.0" id="Definitions_{key}" \
targetNamespace="http://bpmn.io/schema/bpmn" modeler:executionPlatform="{platform}" \
modeler:executionPlatformVersion="{version}">
  <bpmn:process id="{key}" isExecutable="true"{history}>
    <bpmn:startEvent id="StartEvent_1" />
  </bpmn:process>
  <bpmndi:BPMNDiagram id="BPMNDiagram_1">
    <bpmndi:BPMNPlane id="BPMNPlane_1" bpmnElement="{key}">
      <bpmndi:BPMNShape id="StartEvent_1_di" bpmnElement="StartEvent_1">
        <dc:Bounds x="180" y="160" width="36" height="36" />
      </bpmndi:BPMNShape>
    </bpmndi:BPMNPlane>
  </bpmndi:BPMNDiagram>
</bpmn:definitions>
"""
_DMN = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="{key}" name="Decisions" \
namespace="http://camunda.org/schema/1.0/dmn">
  <decision id="Decision_{key}" name="Decision">
    <decisionTable id="Table_1" hitPolicy="UNIQUE">
      <input id="Input_1" label="">
        <inputExpression id="InputExpression_1" typeRef="string"><text></text></inputExpression>
      </input>
      <output id="Output_1" label="" name="" typeRef="string" />
    </decisionTable>
  </decision>
</definitions>
"""


def blank(engine: Engine, key: str) -> str:
    """An empty file for *engine* whose process, or whose definitions, are called *key*."""
    if engine == "dmn":
        return _DMN.format(key=key)
    if engine == "zeebe":
        return _BPMN.format(key=key, prefix="zeebe", namespace="http://camunda.org/schema/zeebe/1.0",
                            platform="Camunda Cloud", version="8.5.0", history="")  # fmt: skip
    return _BPMN.format(key=key, prefix="camunda", namespace="http://camunda.org/schema/1.0/bpmn",
                        platform="Camunda Platform", version="7.22.0",
                        history=' camunda:historyTimeToLive="180"')  # fmt: skip
