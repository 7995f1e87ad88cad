"""What a project defines, for lists, forms and wiring. Reads modules that are imported already, and imports none."""

from tidemill.authoring.definitions.scan import Definitions, FlowDefinition, ResourceDefinition, TaskDefinition, scan

__all__ = ["Definitions", "FlowDefinition", "ResourceDefinition", "TaskDefinition", "scan"]
