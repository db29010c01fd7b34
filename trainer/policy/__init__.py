"""A policy: any image-text-to-text model that can be asked, scored and trained. The doors of this folder."""

from trainer.policy.load import load_policy
from trainer.policy.lora import LoraSettings
from trainer.policy.merge import merge_adapter
from trainer.policy.policy import Policy

__all__ = ["LoraSettings", "Policy", "load_policy", "merge_adapter"]
