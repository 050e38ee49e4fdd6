"""Which Python a script or expression of a model may use: decided on the syntax tree, before anything runs.

What passes here is also understood by the sandbox; what the sandbox understands but a model has no use for
(introspection, files, classes of its own exceptions) is refused at deployment, with the line and a cure.
"""

from __future__ import annotations

import ast
import re
import symtable
from dataclasses import dataclass
from difflib import get_close_matches

from app.engines.spiff import scripts


class ScriptRefused(Exception):
    """A script or expression that must not be deployed.

    ``line`` is 1-based inside the text; ``rule`` is the rule id of the problem list.
    """

    def __init__(self, message: str, line: int = 1, fix: str = "", rule: str = "script-syntax") -> None:
        super().__init__(message)
        self.message, self.line, self.fix, self.rule = message, line, fix, rule


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


REFUSED_NAMES = _set(
    """__import__ breakpoint compile delattr dir eval exec exit getattr globals hasattr help input locals
    memoryview open quit setattr super vars"""
)
REFUSED_ATTRIBUTES = _set(
    """ag_frame co_code cr_frame f_back f_builtins f_globals f_locals func_globals gi_code gi_frame mro
    tb_frame tb_next with_traceback"""
)
MUTATORS = _set(
    """add append clear discard extend insert pop popitem remove reverse setdefault sort update
    difference_update intersection_update symmetric_difference_update"""
)
BUILTINS = _set(
    """abs all any bin bool bytes chr complex dict divmod enumerate filter float format frozenset hash hex id int
    isinstance iter len list map max min next object oct ord pow print range repr reversed round set slice sorted str
    sum tuple type zip True False None
    ArithmeticError AssertionError AttributeError Exception IndexError KeyError LookupError NameError
    NotImplementedError OverflowError RuntimeError StopIteration TimeoutError TypeError ValueError
    ZeroDivisionError"""
)
"""Names that mean something without being set by anybody; a variable of the same name goes before them."""

_EXPRESSIONS: tuple[type[ast.AST], ...] = (
    ast.Expression, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Lambda, ast.IfExp, ast.Dict, ast.Set, ast.ListComp,
    ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Compare, ast.Call, ast.FormattedValue, ast.JoinedStr,
    ast.Constant, ast.Attribute, ast.Subscript, ast.Starred, ast.Name, ast.List, ast.Tuple, ast.Slice,
    ast.NamedExpr, ast.comprehension, ast.arguments, ast.arg, ast.keyword, ast.expr_context, ast.operator,
    ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
_STATEMENTS: tuple[type[ast.AST], ...] = (
    ast.Module, ast.FunctionDef, ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.While, ast.If,
    ast.Match, ast.match_case, ast.pattern, ast.Raise, ast.Try, ast.ExceptHandler, ast.Assert, ast.Import,
    ast.ImportFrom, ast.alias, ast.Global, ast.Nonlocal, ast.Expr, ast.Pass, ast.Break, ast.Continue,
)  # fmt: skip
_CURES: dict[type[ast.AST], tuple[str, str]] = {
    ast.Delete: ("`del` cannot be used in a script", "use `name.pop(key)`, or set the name to None"),
    ast.ClassDef: ("classes cannot be used in a script", "use a dictionary, and BpmnError for errors"),
    ast.With: ("`with` cannot be used in a script", "a script has no files or connections to open"),
    ast.AsyncFunctionDef: ("a script cannot wait", "draw a timer or message event instead of `async`"),
    ast.Await: ("a script cannot wait", "draw a timer or message event instead of `await`"),
    ast.Yield: ("`yield` cannot be used in a script", "collect the values in a list"),
    ast.YieldFrom: ("`yield` cannot be used in a script", "collect the values in a list"),
    ast.TryStar: ("`except*` cannot be used in a script", "use `except`"),
    ast.MatMult: ("the operator `@` cannot be used in a script", "use a loop"),
}


_DUNDER = re.compile(r"__[a-z]+__")
"""`"{0.__class__}".format(x)` reads attributes as code does."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a text reads from the instance and writes to it. Names with a leading underscore are the text's own."""

    reads: frozenset[str]
    writes: tuple[str, ...]
    functions: frozenset[str]
    mutates: bool
    """True when it may change a list or dictionary it was given in place."""


def inspect_script(tree: ast.Module, source: str) -> Names:
    """Checks a script and lists its names.

    Raises:
        ScriptRefused: at the first construct, import or name that is not allowed.
    """
    _check(tree, _EXPRESSIONS + _STATEMENTS)
    return _names(tree, source, "exec")


def inspect_expression(tree: ast.Expression, source: str) -> Names:
    """As `inspect_script`, for a single expression, which cannot write anything."""
    _check(tree, _EXPRESSIONS)
    return _names(tree, source, "eval")


def _check(tree: ast.AST, allowed: tuple[type[ast.AST], ...]) -> None:
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 1)
        if not isinstance(node, allowed) or isinstance(node, ast.MatMult):
            message, fix = _CURES.get(type(node), (f"`{type(node).__name__}` cannot be used here", "write it simpler"))
            raise ScriptRefused(message, line, fix)
        _check_name(node, line)
        _check_import(node, line)


def _check_name(node: ast.AST, line: int) -> None:
    """Failure prevented: a text that reaches for the interpreter itself instead of the instance's data."""
    for name in _identifiers(node):
        if name in REFUSED_NAMES or name.startswith("__"):
            cure = "use the instance's variables only"
            raise ScriptRefused(f"`{name}` cannot be used in a model", line, cure, "script-name")
    if isinstance(node, ast.Attribute) and (node.attr.startswith("_") or node.attr in REFUSED_ATTRIBUTES):
        raise ScriptRefused(f"`.{node.attr}` cannot be used in a model", line, "use plain values", "script-name")
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _DUNDER.search(node.value):
        raise ScriptRefused("text cannot name internals like `__class__`", line, "leave it out", "script-name")
    if isinstance(node, ast.FunctionDef) and node.decorator_list:
        raise ScriptRefused("decorators cannot be used in a script", line, "call the function")
    if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name) and node.type.id == "BpmnError":
        raise ScriptRefused("BpmnError cannot be caught inside a script", line, "draw an error boundary event")


def _identifiers(node: ast.AST) -> list[str]:
    """Names a node reads or binds."""
    match node:
        case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.arg(arg=name):
            return [name]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.MatchMapping(rest=str(name)):
            return [name]
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return list(names)
        case ast.alias(name=name, asname=asname):
            return [asname or name.split(".")[0]]
        case _:
            return []


def _check_import(node: ast.AST, line: int) -> None:
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        modules = [node.module or "."] if node.level == 0 else ["."]
        if any(alias.name == "*" or alias.name.startswith("_") for alias in node.names):
            raise ScriptRefused("import names one by one", line, "write `from math import ceil`", "script-import")
    else:
        return
    for module in modules:
        if module not in scripts.MODULES:
            allowed = ", ".join(sorted(scripts.MODULES))
            cure = f"only {allowed} can; reach other systems with a service task"
            raise ScriptRefused(f"`{module}` cannot be imported in a model", line, cure, "script-import")


def _names(tree: ast.AST, source: str, mode: str) -> Names:
    table = symtable.symtable(source, "<model>", mode)
    local = _bound_to_code(tree)
    reads = {name for name in _globals_read(table) - local if not name.startswith("_")}
    writes = {name for name in _globals_written(table) - local if not name.startswith("_")}
    reads |= writes & _added_to(tree)
    # Only what is called is one of our functions: `age < 18` reads a variable that happens to have the name of one.
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    _check_called(tree, called, writes | local)
    functions = frozenset(name for name in reads & scripts.NAMES & called if name not in writes)
    return Names(frozenset(reads - functions), tuple(sorted(writes)), functions, _mutates(tree))


def _check_called(tree: ast.AST, called: set[str], own: set[str]) -> None:
    """Variables are data, so a name that is called is one of our functions or the script's own."""
    bound = [node for node in ast.walk(tree) if not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))]
    known = scripts.NAMES | BUILTINS | own | {name for node in bound for name in _identifiers(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in called - known:
            near = get_close_matches(node.func.id, sorted(scripts.NAMES | BUILTINS), 1)
            cure = f"did you mean {near[0]}?" if near else "use the functions of the modelling guide"
            raise ScriptRefused(f"there is no function `{node.func.id}`", node.lineno, cure, "script-name")


def _added_to(tree: ast.AST) -> set[str]:
    """Names in `name += value`, which the symbol table counts as written only."""
    targets = (node.target for node in ast.walk(tree) if isinstance(node, ast.AugAssign))
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _bound_to_code(tree: ast.AST) -> set[str]:
    """Top-level names of functions and modules: never data."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return found


def _globals_read(table: symtable.SymbolTable) -> set[str]:
    names = {s.get_name() for s in table.get_symbols() if s.is_referenced() and _is_outer(table, s)}
    return names.union(*(_globals_read(child) for child in table.get_children()))


def _globals_written(table: symtable.SymbolTable) -> set[str]:
    names = {s.get_name() for s in table.get_symbols() if s.is_assigned() and _is_outer(table, s)}
    return names.union(*(_globals_written(child) for child in table.get_children()))


def _is_outer(table: symtable.SymbolTable, symbol: symtable.Symbol) -> bool:
    return table.get_type() == "module" or symbol.is_global()


def _mutates(tree: ast.AST) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (node.attr in MUTATORS or isinstance(node.ctx, ast.Store)):
            return True
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            return True
        if isinstance(node, ast.AugAssign):
            return True
    return False
