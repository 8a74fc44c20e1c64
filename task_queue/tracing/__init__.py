"""Distributed tracing: which trace a task belongs to, the ids of its spans, and their way out.

A task carries the traceparent of the request that submitted it, and nothing else. The ids of its
own spans follow from its id, so every process knows them without being told: the API that submits
it, the scheduler that tells of its attempts, the executor whose spans are children of an attempt.
"""
