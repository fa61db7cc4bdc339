#include "api/openapi_answers.h"

namespace fathom::api {

namespace {

constexpr const char* kSchemas = R"json({
  "Error": {"type": "object", "required": ["error"], "properties": {"error": {
    "type": "object", "required": ["message", "type", "param", "code"], "properties": {
      "message": {"type": "string"}, "type": {"type": "string"},
      "param": {"type": ["string", "null"], "description": "The field at fault."},
      "code": {"type": ["string", "null"]}}}}},
  "AnthropicError": {"type": "object", "required": ["type", "error"], "properties": {
    "type": {"const": "error"},
    "error": {"type": "object", "required": ["type", "message"], "properties": {
      "type": {"type": "string"}, "message": {"type": "string"}}}}},
  "Usage": {"type": "object",
    "required": ["prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens",
                 "prompt_cache_miss_tokens"],
    "properties": {
      "prompt_tokens": {"type": "integer"}, "completion_tokens": {"type": "integer"},
      "total_tokens": {"type": "integer"}, "prompt_cache_hit_tokens": {"type": "integer"},
      "prompt_cache_miss_tokens": {"type": "integer"},
      "prompt_tokens_details": {"type": "object"},
      "completion_tokens_details": {"type": "object"}}},
  "ChatCompletion": {"type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"], "properties": {
      "id": {"type": "string"}, "object": {"const": "chat.completion"},
      "created": {"type": "integer"}, "model": {"type": "string"},
      "choices": {"type": "array", "items": {"type": "object",
        "required": ["index", "message", "finish_reason"], "properties": {
          "index": {"type": "integer"}, "logprobs": {"type": ["object", "null"]},
          "finish_reason": {"enum": ["stop", "length", "tool_calls"]},
          "stop_reason": {"type": "string"},
          "message": {"type": "object", "required": ["role", "content"], "properties": {
            "role": {"const": "assistant"}, "content": {"type": ["string", "null"]},
            "reasoning_content": {"type": "string"}, "tool_calls": {"type": "array"}}}}}},
      "usage": {"$ref": "#/components/schemas/Usage"}}},
  "Completion": {"type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"], "properties": {
      "id": {"type": "string"}, "object": {"const": "text_completion"},
      "created": {"type": "integer"}, "model": {"type": "string"},
      "choices": {"type": "array", "items": {"type": "object",
        "required": ["index", "text", "finish_reason"], "properties": {
          "index": {"type": "integer"}, "text": {"type": "string"},
          "logprobs": {"type": ["object", "null"]},
          "finish_reason": {"enum": ["stop", "length"]},
          "stop_reason": {"type": "string"}}}},
      "usage": {"$ref": "#/components/schemas/Usage"}}},
  "Response": {"type": "object",
    "required": ["id", "object", "created_at", "status", "model", "output", "usage"],
    "properties": {
      "id": {"type": "string"}, "object": {"const": "response"},
      "created_at": {"type": "integer"}, "status": {"enum": ["completed", "incomplete"]},
      "model": {"type": "string"},
      "output": {"type": "array", "items": {"type": "object", "required": ["id", "type"],
        "properties": {"type": {"enum": ["reasoning", "message", "function_call", "custom_tool_call"]}}}},
      "usage": {"type": "object"}}},
  "DeletedResponse": {"type": "object", "required": ["id", "object", "deleted"], "properties": {
    "id": {"type": "string"}, "object": {"const": "response"}, "deleted": {"const": true}}},
  "ItemList": {"type": "object", "required": ["object", "data", "has_more"], "properties": {
    "object": {"const": "list"}, "has_more": {"type": "boolean"},
    "data": {"type": "array", "items": {"type": "object", "required": ["id", "type"]}}}},
  "Message": {"type": "object",
    "required": ["id", "type", "role", "model", "content", "stop_reason", "usage"],
    "properties": {
      "id": {"type": "string"}, "type": {"const": "message"}, "role": {"const": "assistant"},
      "model": {"type": "string"}, "stop_reason": {"type": "string"},
      "stop_sequence": {"type": ["string", "null"]},
      "content": {"type": "array", "items": {"type": "object", "required": ["type"],
        "properties": {"type": {"enum": ["thinking", "text", "tool_use"]}}}},
      "usage": {"type": "object", "required": ["input_tokens", "output_tokens"]}}},
  "TokenCount": {"type": "object", "required": ["input_tokens"], "properties": {
    "input_tokens": {"type": "integer"}}},
  "Model": {"type": "object", "required": ["id", "object", "created", "owned_by"], "properties": {
    "id": {"type": "string"}, "object": {"const": "model"}, "created": {"type": "integer"},
    "owned_by": {"type": "string"}, "max_model_len": {"type": "integer"}}},
  "ModelList": {"type": "object", "required": ["object", "data"], "properties": {
    "object": {"const": "list"},
    "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}}},
  "Tokens": {"type": "object", "required": ["count", "max_model_len", "tokens"], "properties": {
    "count": {"type": "integer"}, "max_model_len": {"type": "integer"},
    "tokens": {"type": "array", "items": {"type": "integer"}},
    "token_strs": {"type": ["array", "null"], "items": {"type": "string"}}}},
  "Text": {"type": "object", "required": ["prompt"], "properties": {
    "prompt": {"type": "string"}}},
  "Health": {"type": "object", "required": ["status"], "properties": {
    "status": {"const": "ok"}}},
  "Version": {"type": "object", "required": ["version"], "properties": {
    "version": {"type": "string"}}}
})json";

}  // namespace

Json answer_schemas() {
  return Json::parse(kSchemas);
}

}  // namespace fathom::api
