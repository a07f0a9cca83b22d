"""The document that describes the interface to other programs (OpenAPI 3.1)."""

from __future__ import annotations

from typing import Any

from mstl_edge import __version__
from mstl_edge.serve.limits import Limits
from mstl_edge.serve.upload import FIELD

_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string", "description": "What was expected, and what came."}},
    "required": ["error"],
}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_ANSWER = {
    "type": "object",
    "description": "The fields of one line of `mstl-edge predict --json`, and how long it took.",
    "properties": {
        "image": {"type": "string", "description": "What the upload calls itself."},
        "label": {"type": "string"},
        "probability": _SHARE,
        "probabilities": {"type": "object", "additionalProperties": _SHARE},
        "set": {"type": "array", "items": {"type": "string"}, "description": "Labels that the answer leaves open."},
        "familiarity": {
            "type": "object",
            "properties": {
                "score": {"type": "number"},
                "bound": {"type": "number"},
                "familiar": {"type": "boolean"},
            },
            "required": ["score", "bound", "familiar"],
        },
        "map": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        "map_method": {"enum": ["class map", "occlusion"]},
        "picture": {"type": "string", "description": "What the network saw, as a data: address of a PNG."},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "milliseconds": {"type": "number", "minimum": 0},
    },
    "required": ["image", "label", "probability", "probabilities", "milliseconds"],
}


def openapi(models: int, limits: Limits, *, token: bool) -> dict[str, Any]:
    """Return the document.

    Args:
        models: How many models there are.
        limits: What may be asked for.
        token: Whether one is demanded.
    """
    which = {
        "name": "model",
        "in": "query",
        "description": "Which of the models, counted from 0.",
        "schema": {"type": "integer", "minimum": 0, "maximum": models - 1, "default": 0},
    }
    explain = {
        "name": "explain",
        "in": "query",
        "description": "Also where the answer comes from.",
        "schema": {"type": "boolean", "default": False},
    }
    frame = {
        "name": "frame",
        "in": "query",
        "description": "Which frame of a DICOM file of several, counted from 1.",
        "schema": {"type": "integer", "minimum": 1},
    }
    body = {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {FIELD: {"type": "string", "format": "binary"}},
                    "required": [FIELD],
                }
            }
        },
    }
    refusals = {
        "400": "No whole upload of one image.",
        "408": "The upload took too long.",
        "413": f"More than {limits.upload_bytes / 1e6:g} MB.",
        "415": "No multipart/form-data.",
        "422": "A file that gives no picture, or a model or an option that is none.",
        "429": "More requests than one client may make; see Retry-After.",
        "503": "Too many images wait; see Retry-After.",
    }
    always = {"403": "Made by another site.", "421": "To another host name."} | ({"401": "No token."} if token else {})
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "mstl-edge serve",
            "version": __version__,
            "description": "Research software: an answer is a model's output on a picture, not a finding about a person.",
        },
        "paths": {
            "/v1/predict": {
                "post": {
                    "summary": "Classify one image.",
                    "parameters": [which, explain, frame],
                    "requestBody": body,
                    "responses": {"200": _told("The answer.", _ANSWER)}
                    | {code: _told(why, _ERROR) for code, why in sorted((always | refusals).items())},
                }
            },
            "/v1/card": {
                "get": {
                    "summary": "What the models say of themselves.",
                    "responses": {"200": _told("Their cards.", {"type": "object"})}
                    | {code: _told(why, _ERROR) for code, why in sorted(always.items())},
                }
            },
        },
    }
    if token:
        document["components"] = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
        document["security"] = [{"token": []}]
    return document


def _told(why: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": why, "content": {"application/json": {"schema": schema}}}
