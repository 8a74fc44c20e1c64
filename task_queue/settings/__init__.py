"""What an operator can set: configs/*.yaml, with TASK_QUEUE_* variables laid over it.

`load_settings` reads both once, where the cluster is started, and refuses everything that it does
not know. From there the finished `Settings` travel to the actors as JSON, so that no other process
looks at the file or at the environment.
"""

from task_queue.settings.loading import load_settings, settings_from_json, settings_to_json
from task_queue.settings.pool import PoolSettings
from task_queue.settings.settings import (
    ApiKey,
    AutoscalerSettings,
    HttpSettings,
    LeaseSettings,
    LimitSettings,
    LoggingSettings,
    RaySettings,
    RedisSettings,
    RetentionSettings,
    Settings,
    StoreSettings,
    TracingSettings,
)

__all__ = [
    "ApiKey",
    "AutoscalerSettings",
    "HttpSettings",
    "LeaseSettings",
    "LimitSettings",
    "LoggingSettings",
    "PoolSettings",
    "RaySettings",
    "RedisSettings",
    "RetentionSettings",
    "Settings",
    "StoreSettings",
    "TracingSettings",
    "load_settings",
    "settings_from_json",
    "settings_to_json",
]
