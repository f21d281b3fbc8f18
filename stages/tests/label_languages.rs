//! Rules 2 to 4 of mode `natural` in each language, on code as people write it. What is one entry is one step.

use secprm_stages::label::{SegmentOptions, segment};
use secprm_stages::language::Language;

/// Joins what should be single steps and expects to find them again.
fn assert_steps(language: Language, expected: &[&str]) {
    let code = expected.concat();
    let steps = segment(&code, language, &SegmentOptions::default());
    let found: Vec<&str> = steps.into_iter().map(|step| &code[step.bytes]).collect();
    assert_eq!(found, expected, "{language}");
}

#[test]
fn go_separates_in_bodies_but_not_in_groups_literals_and_raw_strings() {
    assert_steps(
        Language::Go,
        &[
            "package main\n\nimport (\n\t\"fmt\"\n\n\t\"os\"\n)\n\nvar verbose bool\n\n\
             func run(name string) error {\n\tquery := `SELECT *\n\nFROM t WHERE a = '` + name\n\n",
            "\tif err := check(name); err != nil {\n\t\treturn err\n\t}\n\n",
            "\tfor i := 0; i < 3; i += 2 {\n\t\tfmt.Println(i)\n\n",
            "\t\tos.Remove(name)\n\t}\n\n",
            "\topts := Options{\n\t\tName: name,\n\n\t\tArgs: []string{\"a\", \"b\"},\n\t}\n\n",
            "\thandler := func(w Writer, r *Request) {\n\t\tserve(w, r)\n\n",
            "\t\tlog(r)\n\t}\n\n",
            "\tgo handler(nil, nil)\n\n\treturn nil\n}\n",
        ],
    );
    assert_steps(Language::Go, &["type T struct {\n\tA int `json:\"a\"`\n}\n", "func f() rune { return '\\'' }\n"]);
    assert_steps(Language::Go, &["switch v {\ncase 1:\n\ta()\n\n\tfallthrough\n\n", "default:\n\tb()\n}\n"]);
}

#[test]
fn java_separates_in_bodies_but_not_in_text_blocks_and_initialisers() {
    assert_steps(
        Language::Java,
        &[
            "package a.b;\n\nimport java.util.List;\n\n@Service\npublic class Store {\n\n    private final int size;\n\n\
             \x20   @Override\n    public void run(String name) throws IOException {\n        \
             String sql = \"\"\"\n            SELECT \\\"\"\"\n\n            FROM t\n            \"\"\";\n\n",
            "        int[] sizes = new int[] {\n            1,\n\n            2 };\n\n",
            "        list.forEach(item -> {\n            use(item);\n\n",
            "            done(item);\n        });\n\n",
            "        try (Reader reader = open(name)) {\n            read(reader);\n        } catch (IOException e) {\n            \
             char quote = '\"';\n            throw new IllegalStateException(e);\n        }\n\n        return;\n    }\n\n",
            "    void next() {\n        size++;\n    }\n}\n",
        ],
    );
}

#[test]
fn kotlin_reads_raw_and_interpolated_strings_and_lambdas() {
    assert_steps(
        Language::Kotlin,
        &[
            "package a.b\n\nimport java.io.File\n\nclass Store(val name: String) {\n\n    lateinit var file: File\n\n\
             \x20   fun run(args: List<String>): String? {\n        val path = \"\"\"C:\\${args[\"a\"]}\n\n        \\\"\"\"\"\n\n",
            "        val text = \"${map[\"key\"]} '${if (a) \"b\" else \"c\"}'\"\n\n",
            "        args.forEach {\n            use(it)\n\n",
            "            log(it)\n        }\n\n",
            "        val answer = args\n            .map { it.length }\n            ?.first()\n\n",
            "        /* a /* nested */ comment */\n        when (answer) {\n            1 -> one()\n\n",
            "            else -> {\n                many()\n            }\n        }\n\n        return text\n    }\n}\n",
        ],
    );
}

#[test]
fn scala_bodies_after_an_equals_sign_separate() {
    assert_steps(
        Language::Scala,
        &[
            "package a.b\n\nimport a.{B, C}\n\ncase class P(x: Int)\n\nobject Main extends App {\n\n  \
             def run(x: Int): Int = {\n    val name = s\"${x + \"a\".length}\"\n\n",
            "    val raw = \"\"\"a \\\n\n    b\"\"\"\n\n",
            "    x match {\n      case 1 => one('a')\n\n",
            "      case y: Int if y > 1 =>\n        many('sym)\n    }\n\n",
            "    list\n      .map(f)\n      .foreach(println)\n\n",
            "    x\n  }\n}\n",
        ],
    );
}

#[test]
fn rust_reads_raw_strings_lifetimes_attributes_and_struct_literals() {
    assert_steps(
        Language::Rust,
        &[
            "use std::{\n    fs,\n\n    io,\n};\n\nmod parse;\n\n#[derive(Debug)]\npub struct Point<'a> {\n    name: &'a str,\n\n    \
             x: i32,\n}\n\n",
            "impl<'a> Point<'a> {\n    fn new(name: &'a str) -> Self {\n        Self {\n            name,\n\n            \
             x: 0,\n        }\n    }\n\n",
            "    fn run(&self) -> Result<(), Error> {\n        let sql = r#\"SELECT \"a\"\n\n        FROM t\"#;\n\n",
            "        let point = Point {\n            name: \"b\",\n\n            x: 1,\n        };\n\n",
            "        let Point { name, .. } = point;\n        if let Some(Point { x, .. }) = find(name) {\n            use_it(x);\n\n",
            "            done('\\'');\n        }\n\n",
            "        let kind = match name {\n            \"a\" => Kind::A,\n\n",
            "            _ => Kind::B { c: b'\"' },\n        };\n\n",
            "        'outer: loop {\n            step()?;\n\n            break 'outer;\n        }\n\n        return Ok(());\n    }\n}\n",
        ],
    );
}

#[test]
fn javascript_reads_templates_patterns_and_objects() {
    assert_steps(
        Language::JavaScript,
        &[
            "import { a, b } from 'c';\n\nlet cache;\n\nfunction run(name) {\n  \
             const text = `a ${name ? `it's ${b['x']}` : '}'}\n\n  end`;\n\n",
            "  const quoted = name.replace(/['\"`({[]/g, '') / 2;\n\n",
            "  const options = {\n    a: 1,\n\n    b() {\n      return this.a;\n    },\n  };\n\n",
            "  const handler = async (req) => {\n    use(req);\n\n",
            "    done(req);\n  };\n\n",
            "  fetch(name)\n    .then((answer) => answer.json())\n    .catch(fail);\n\n",
            "  if (!name) {\n    fail();\n\n    return {\n      a: 1,\n\n      b: 2,\n    };\n  }\n\n  return /a\\/b/.test(name);\n}\n\n",
            "module.exports = {\n  run,\n\n  text: 'x',\n};\n",
        ],
    );
}

#[test]
fn typescript_reads_types_and_decorators() {
    assert_steps(
        Language::TypeScript,
        &[
            "import { Component } from '@angular/core';\n\ninterface User {\n  name: string;\n\n  age?: number;\n}\n\n",
            "type Options = {\n  a: string;\n\n  b: number;\n};\n\n",
            "@Component({\n  selector: 'app',\n\n  template: `<a>{{ b }}</a>`,\n})\nexport class App<T extends User> {\n  \
             private readonly users: Map<string, User>;\n\n  constructor(private http: Http) {\n    this.users = new Map();\n  }\n\n",
            "  @Input()\n  get(name: string): User | undefined {\n    const found = this.users.get(name) as User;\n\n",
            "    this.log(found!);\n\n    return found;\n  }\n}\n",
        ],
    );
}

#[test]
fn php_reads_tags_heredocs_and_attributes() {
    assert_steps(
        Language::Php,
        &[
            "<?php\n\nnamespace App\\Store;\n\nuse App\\{Reader, Writer};\n\nrequire_once 'a.php';\n\n\
             #[Route('/x')]\nfinal class Store\n{\n    private ?int $size;\n\n    public function run(array $args): string\n    {\n        \
             $sql = <<<SQL\n            SELECT 'a\n\n            FROM t\n            SQL;\n\n",
            "        $raw = <<<'TXT'\n$a \"\n\nTXTS\nTXT;\n\n",
            "        $options = [\n            'a' => 1,\n\n            'b' => 2,\n        ];\n\n",
            "        # it's a comment\n        $kind = match ($raw) {\n            'a' => 1,\n\n",
            "            default => 2,\n        };\n\n",
            "        array_map(function ($x) use ($raw) {\n            use_it($x);\n\n",
            "            return $x;\n        }, $args);\n\n        exit(1);\n    }\n}\n",
        ],
    );
    assert_steps(
        Language::Php,
        &[
            "<html>\n<body>\n\n",
            "<?php if ($user): ?>\n  <p>It's <?= $user['name'] ?></p>\n\n",
            "<?php endif; ?>\n\n  <p>end</p>\n\n",
            "<?php foreach ($a as $b): // all ?>\n  <li><?php echo $b; ?></li>\n\n",
            "<?php endforeach ?>\n</body>\n",
        ],
    );
    assert_steps(Language::Php, &["function f($a) {\n    g($a);\n\n", "    h('it''s');\n}\n"]);
}

#[test]
fn cpp_reads_raw_strings_lambdas_and_templates() {
    assert_steps(
        Language::Cpp,
        &[
            "#include <string>\n\nnamespace a {\n\ntemplate <typename T>\nclass Store {\n public:\n  explicit Store(int n);\n\n",
            "  auto text() {\n    auto s = R\"sql(SELECT \"\n\n)\" FROM t)sql\";\n\n",
            "    std::for_each(v.begin(), v.end(), [&](int x) {\n      use(x);\n\n",
            "      done(x);\n    });\n\n",
            "    int table[] = {\n      1'000,\n\n      2,\n    };\n\n    return s;\n  }\n};\n\n}  // namespace a\n",
        ],
    );
}

#[test]
fn c_reads_continued_macros_and_conditionals() {
    assert_steps(
        Language::C,
        &[
            "#include <stdio.h>\n#define MAX(a, b) \\\n    ((a) > (b) \\\n     ? (a) : (b))\n\n",
            "static int f(char *p)\n{\n    int n;\n\n",
            "    n = strlen(p);\n\n",
            "#ifdef A\n    if (n > 1) {\n#else\n    if (n > 2) {\n#endif\n        g(n);\n\n",
            "        h(n);\n    }\n\n",
            "out:\n    free(p);\n\n    return n;\n}\n",
        ],
    );
}

#[test]
fn python_reads_docstrings_decorators_and_continued_lines() {
    assert_steps(
        Language::Python,
        &[
            "import os\n\nfrom a import (\n    b,\n\n    c,\n)\n\n@app.route('/')\ndef f(name: str) -> None:\n    \"\"\"Says it's\n\n    done.\"\"\"\n    \
             x = f\"{name!r} '\" \\\n        + b\n\n",
            "    if x:\n        return {\n            'a': 1,\n\n            'b': 2,\n        }\n\n",
            "    with open(name) as file:\n        g(file)\n\n    raise ValueError('#')\n",
        ],
    );
}
