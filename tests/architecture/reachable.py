"""Which functions, classes and methods a program reaches from its entry points, read from the text.

A module is reached when reached code imports it; a function or class when reached code names it; a
method when its class is reached and reached code names such an attribute, or when a class that is
none of ours may call it; a function also when its module hands it to a decorator of its own, as
commands are; all of a module that is named in a string, since it is run by that name. The
annotation of an argument is no use. So what is reached may never run, but what is not reached
cannot, unless its name is put together at run time.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

PLAIN_BASES = frozenset({"ABC", "Generic", "NamedTuple", "Protocol", "object"})
"""Bases that call no method of a class by themselves."""

Symbol = tuple[str, str]
"""A module, and a name in it; the empty name is the module itself."""


def read_sources(folders: Iterable[Path]) -> dict[str, str]:
    """The text of every module below some source folders, by its dotted name."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return found


@dataclass
class Module:
    """A module's definitions, and what its names stand for."""

    name: str
    tree: ast.Module
    known: frozenset[str]
    """The names of every module of the program."""
    bindings: dict[str, set[Symbol]] = field(default_factory=dict)
    """What an imported name stands for; two functions may import the same name from elsewhere."""

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for each in node.names:
                    top = each.name if each.asname else each.name.partition(".")[0]
                    self.bindings.setdefault(each.asname or top, set()).add((top, ""))
            elif isinstance(node, ast.ImportFrom) and node.module:
                for each in node.names:
                    inner = f"{node.module}.{each.name}"
                    target = (inner, "") if inner in self.known else (node.module, each.name)
                    self.bindings.setdefault(each.asname or each.name, set()).add(target)

    @cached_property
    def pieces(self) -> dict[str, list[ast.AST]]:
        """What runs together: "" is the import, then each function, class and method by name."""
        found: dict[str, list[ast.AST]] = {"": []}
        for statement in _run_by_import(self.tree.body):
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                found[statement.name] = [statement]
            elif isinstance(statement, ast.ClassDef):
                found[statement.name] = [*statement.bases, *statement.decorator_list]
                for part in statement.body:
                    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                        found.setdefault(f"{statement.name}.{part.name}", []).append(part)
                    else:
                        found[statement.name].append(part)
            else:
                found[""].append(statement)
        return found

    @cached_property
    def registered(self) -> list[str]:
        """Functions that the import hands to what it has made, as `@app.command()` does."""
        made = {
            target.id
            for statement in self.tree.body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        functions = [s for s in self.tree.body if isinstance(s, ast.FunctionDef)]
        return [
            function.name
            for function in functions
            for decorator in function.decorator_list
            if made & {n.id for n in ast.walk(decorator) if isinstance(n, ast.Name)}
        ]


def _run_by_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if not (isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)):
            yield statement


class Program:
    """The modules of a program, and what of them its entry points reach."""

    def __init__(self, sources: Mapping[str, str], entries: Iterable[Symbol]) -> None:
        packages = {
            name.rsplit(".", up)[0] for name in sources for up in range(name.count(".") + 1)
        }
        sources = dict.fromkeys(packages, "") | dict(sources)
        known = frozenset(sources)
        self.modules = {n: Module(n, ast.parse(text), known) for n, text in sources.items()}
        self.reached: set[Symbol] = set()
        self._attributes: set[str] = set()
        self._waiting: list[Symbol] = []
        for module, name in entries:
            self._reach_module(module)
            self._reach((module, name))
        self._follow()

    def pieces(self) -> Iterator[tuple[Module, list[ast.AST]]]:
        """Every piece of code that is reached."""
        for module, name in sorted(self.reached):
            yield self.modules[module], self.modules[module].pieces[name]

    def resolve(self, module: Module, node: ast.AST) -> set[Symbol]:
        """What an expression may stand for, where it is a name of a module of the program."""
        if isinstance(node, ast.Name):
            found = module.bindings.get(node.id, {(module.name, node.id)})
            return {each for symbol in found for each in self._defined(symbol)}
        if not isinstance(node, ast.Attribute):
            return set()
        found = set()
        for owner, name in self.resolve(module, node.value):
            inner = f"{owner}.{node.attr}"
            if not name:
                found |= {(inner, "")} if inner in self.modules else {(owner, node.attr)}
        return {each for symbol in found for each in self._defined(symbol)}

    def _defined(self, symbol: Symbol) -> set[Symbol]:
        """Where a name is defined that may have been imported on the way."""
        module, name = symbol
        if module not in self.modules:
            return set()
        if name in self.modules[module].pieces:
            return {symbol}
        further = self.modules[module].bindings.get(name, set())
        return {each for further_on in further for each in self._defined(further_on)} or {symbol}

    def _follow(self) -> None:
        grown = True
        while grown:
            while self._waiting:
                module, name = self._waiting.pop()
                self._read(self.modules[module], self.modules[module].pieces[name])
            before = len(self.reached)
            for module, name in sorted(self.reached):
                self._reach_methods(self.modules[module], name)
            grown = len(self.reached) > before

    def _reach(self, symbol: Symbol) -> None:
        module, name = symbol
        if symbol not in self.reached and name in self.modules[module].pieces:
            self.reached.add(symbol)
            self._waiting.append(symbol)
            if not name:
                for each in self.modules[module].registered:
                    self._reach((module, each))

    def _reach_module(self, name: str) -> None:
        """Import a module, and the packages around it."""
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            if (each := ".".join(parts[:end])) in self.modules:
                self._reach((each, ""))

    def _reach_process(self, name: str) -> None:
        """Run a module that is named in a string: all of it, since nobody says what is called."""
        for module in (name, f"{name}.__main__"):
            if module in self.modules:
                self._reach_module(module)
                for piece in self.modules[module].pieces:
                    self._reach((module, piece))

    def _reach_methods(self, module: Module, name: str) -> None:
        for method in module.pieces:
            owner, dot, short = method.partition(".")
            if dot and owner == name:
                called = short in self._attributes or short.startswith("__")
                if called or self._calls_back(module, name):
                    self._reach((module.name, method))

    def _calls_back(self, module: Module, name: str) -> bool:
        """Whether a class has a base of another library, which may call what it overrides."""
        nodes = [n for n in module.tree.body if isinstance(n, ast.ClassDef) and n.name == name]
        for base in (base for node in nodes for base in node.bases):
            plain = base.value if isinstance(base, ast.Subscript) else base
            if ast.unparse(plain).removeprefix("typing.") in PLAIN_BASES:
                continue
            ours = self.resolve(module, plain)
            if not any(name in self.modules[owner].pieces for owner, name in ours):
                return True
            if any(self._calls_back(self.modules[owner], name) for owner, name in ours):
                return True
        return False

    def _read(self, module: Module, nodes: list[ast.AST]) -> None:
        for node in (each for top in nodes for each in used(top)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._reach_module(alias.name)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    self._reach_module(f"{node.module}.{alias.name}")
            elif isinstance(node, ast.Constant) and node.value in self.modules:
                self._reach_process(f"{node.value}")
            elif isinstance(node, ast.Name | ast.Attribute):
                if isinstance(node, ast.Attribute):
                    self._attributes.add(node.attr)
                for symbol in self.resolve(module, node):
                    self._reach(symbol)


def used(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it, but for the annotations of functions."""
    yield node
    for name, value in ast.iter_fields(node):
        if name == "returns" or (name == "annotation" and isinstance(node, ast.arg)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from used(child)
