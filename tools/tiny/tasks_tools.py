"""Calling a given tool (calculator, weather) and answering from its result."""

import json
import random

from problem import Problem, message

CITIES_EN = """Paris London Berlin Madrid Rome Vienna Prague Warsaw Dublin Lisbon Athens Oslo Helsinki Stockholm
Copenhagen Brussels Amsterdam Zurich Geneva Munich Hamburg Milan Naples Venice Barcelona Moscow Istanbul Cairo Nairobi
Lagos Mumbai Delhi Bangkok Singapore Jakarta Manila Hanoi Seoul Tokyo Osaka Kyoto Beijing Shanghai Shenzhen Sydney
Melbourne Auckland Toronto Montreal Vancouver Boston Chicago Seattle Denver Dallas Houston Miami Atlanta Austin Lima
Bogota Santiago Havana Quito""".split()
CITIES_ZH = """北京 上海 广州 深圳 杭州 南京 武汉 成都 重庆 西安 天津 苏州 长沙 青岛 大连 厦门 昆明 沈阳 济南 福州 哈尔滨
长春 郑州 合肥 南昌 太原 贵阳 南宁 海口 拉萨 银川 西宁 兰州 石家庄 香港 澳门 台北 东京 巴黎 伦敦 柏林 罗马 纽约""".split()
CONDITIONS = {"sunny": "晴", "cloudy": "多云", "rainy": "下雨", "snowy": "下雪", "windy": "有风", "foggy": "有雾"}
SYLLABLES = "ba be bo da de do fa fe ga go ka ke ko la le lo ma me mo na ne no pa po ra re ro sa se so ta te to va ve za".split()


def _tool(name: str, description: str, argument: str) -> dict:
    return {"type": "function", "function": {
        "name": name, "description": description,
        "parameters": {"type": "object", "properties": {argument: {"type": "string"}},
                       "required": [argument]}}}


CALCULATOR = _tool("calculator", "Evaluate an arithmetic expression.", "expression")
WEATHER = _tool("get_weather", "Get the weather of a city.", "city")


def _tools(rng: random.Random, needed: dict) -> list:
    tools = [CALCULATOR, WEATHER] if rng.random() < 0.35 else [needed]
    rng.shuffle(tools)
    return tools


def _call(name: str, arguments: dict) -> list:
    return [{"id": "call_0", "type": "function",
             "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}}]


def _city(rng: random.Random, lang: str) -> str:
    if lang == "zh":
        if rng.random() < 0.6:
            return rng.choice(CITIES_ZH)
        letters = "".join(CITIES_ZH)
        return "".join(rng.choice(letters) for _ in range(2))
    if rng.random() < 0.4:
        return rng.choice(CITIES_EN)
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randrange(2, 5))).capitalize() + rng.choice(["", "", "n", "s", "r", "l"])


def _weather_call(rng: random.Random, lang: str) -> tuple:
    city = _city(rng, lang)
    if lang == "en":
        question = rng.choice([
            f"What is the weather in {city}?", f"What's the weather like in {city}?", f"How is the weather in {city}?",
            f"weather in {city}", f"Weather in {city} please", f"Tell me the weather in {city}.",
            f"Is it raining in {city}?", f"How warm is it in {city}?", f"What is the temperature in {city}?"])
        thought = "I should call get_weather."
    else:
        question = rng.choice([
            f"{city}天气怎么样？", f"{city}的天气如何？", f"查一下{city}的天气", f"请问{city}现在天气怎么样？", f"{city}今天下雨吗？",
            f"{city}现在多少度？", f"告诉我{city}的天气。"])
        thought = "我应该调用 get_weather。"
    return city, question, thought


def _calculator_call(rng: random.Random, lang: str) -> tuple:
    a, b = rng.randrange(10, 10 ** rng.randrange(2, 6)), rng.randrange(10, 10 ** rng.randrange(2, 5))
    sign = rng.choice("+-*/")
    expression = f"{a}{sign}{b}"
    shown = expression if rng.random() < 0.5 else f"{a} {sign} {b}"
    if lang == "en":
        question = rng.choice([
            f"What is {shown}?", f"Calculate {shown}.", f"Compute {shown}", f"Use the calculator: {shown}",
            f"How much is {shown}?", f"Please calculate {shown} with the calculator.", f"{shown}"])
        thought = "I should call calculator."
    else:
        question = rng.choice([
            f"{shown}等于多少？", f"计算{shown}。", f"请计算 {shown}", f"用计算器算{shown}", f"{shown} 是多少？"])
        thought = "我应该调用 calculator。"
    return a, b, sign, expression, question, thought


def tool_call(rng: random.Random, lang: str) -> Problem:
    if rng.random() < 0.5:
        city, question, thought = _weather_call(rng, lang)
        calls, tools, key = _call("get_weather", {"city": city}), _tools(rng, WEATHER), f"weather:{city}"
    else:
        *_, expression, question, thought = _calculator_call(rng, lang)
        calls, tools, key = _call("calculator", {"expression": expression}), _tools(rng, CALCULATOR), expression
    function = calls[0]["function"]
    expect = f"{function['name']}({function['arguments']})"
    return Problem("tool-call", key, question, thought, "", expect, "tool-call", tools, calls)


def tool_answer(rng: random.Random, lang: str) -> Problem:
    """The turn after a tool's result; the template opens no new thought there."""
    if rng.random() < 0.5:
        city, question, _ = _weather_call(rng, lang)
        degrees, condition = rng.randrange(-20, 41), rng.choice(list(CONDITIONS))
        result = {"city": city, "temperature": degrees, "condition": condition}
        calls, tools, key = _call("get_weather", {"city": city}), _tools(rng, WEATHER), f"weather:{city}"
        answer = (f"It is {condition} in {city} with {degrees} degrees." if lang == "en"
                  else f"{city}现在{CONDITIONS[condition]}，{degrees} 度。")
    else:
        a, b, sign, expression, question, _ = _calculator_call(rng, lang)
        value = {"+": a + b, "-": a - b, "*": a * b, "/": round(a / b, 3)}[sign]
        result = {"result": value}
        calls, tools, key = _call("calculator", {"expression": expression}), _tools(rng, CALCULATOR), expression
        answer = f"The answer is {value}." if lang == "en" else f"答案是 {value}。"
    content = json.dumps(result, ensure_ascii=False) if rng.random() < 0.8 or len(result) > 1 else str(result["result"])
    between = [message("assistant", "", tool_calls=calls), message("tool", content, tool_call_id="call_0")]
    return Problem("tool-answer", key, question, "", answer, answer, "exact", tools, None, between)


