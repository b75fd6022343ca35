package archtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Check reads the module's source in fsys and returns what breaks the rules,
// each with its place and the reason.
func Check(fsys fs.FS) (problems []string, err error) {
	packages, err := load(fsys)
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		problems = append(problems, p.checkComment()...)
		problems = append(problems, p.checkImports()...)
		problems = append(problems, p.checkLibraries()...)
		problems = append(problems, p.checkPurity()...)
	}
	return problems, nil
}

// source is the parsed source of one package, without its tests.
type source struct {
	dir   string
	fset  *token.FileSet
	files []*ast.File
}

// load parses every package of the module, in the order of the directories.
func load(fsys fs.FS) (packages []*source, err error) {
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		skip, err := foreign(fsys, name)
		if err != nil {
			return err
		}
		if skip {
			return fs.SkipDir
		}
		p, err := parse(fsys, name)
		if err == nil && len(p.files) > 0 {
			packages = append(packages, p)
		}
		return err
	})
	return packages, err
}

// foreign tells whether a directory holds no packages of the module.
func foreign(fsys fs.FS, dir string) (bool, error) {
	base := path.Base(dir)
	if dir == "." {
		return false, nil
	}
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true, nil
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod")) // a module of its own
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// parse parses the Go files of one directory, for every platform.
func parse(fsys fs.FS, dir string) (*source, error) {
	p := &source{dir: dir, fset: token.NewFileSet()}
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		name := path.Join(dir, e.Name())
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(p.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.files = append(p.files, file)
	}
	return p, nil
}

// checkComment wants one paragraph about the package that a newcomer can use.
func (p *source) checkComment() []string {
	name := p.files[0].Name.Name
	for _, f := range p.files {
		if f.Doc == nil {
			continue
		}
		if name == "main" || strings.HasPrefix(f.Doc.Text(), "Package "+name+" ") {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: no comment that begins with %q: a package opens with a paragraph for newcomers", p.dir, "Package "+name)}
}

// checkImports holds the imports against the package's rule.
func (p *source) checkImports() (problems []string) {
	rule, ok := ruleOf(p.dir)
	if !ok {
		return []string{fmt.Sprintf("%s: no rule in internal/archtest/rules.go: say what it may know, and why", p.dir)}
	}
	for _, i := range p.imports() {
		if dir, ours := strings.CutPrefix(i.path, Module+"/"); ours && !rule.allows(dir) {
			problems = append(problems, fmt.Sprintf("%s: %s may not know %s: %s", i.at, p.dir, dir, rule.Why))
		}
	}
	return problems
}

// ruleOf is the rule of the closest directory that has one.
func ruleOf(dir string) (Rule, bool) {
	for ; dir != "."; dir = path.Dir(dir) {
		at := slices.IndexFunc(Rules, func(r Rule) bool { return r.Package == dir })
		if at >= 0 {
			return Rules[at], true
		}
	}
	return Rule{}, false
}

// allows tells whether a package under the rule may import dir.
func (r Rule) allows(dir string) bool {
	if under(dir, r.Package) {
		return true
	}
	if slices.Contains(r.Knows, "*") {
		return true
	}
	if tool, _ := ruleOf(dir); tool.Package == "internal" {
		return true
	}
	return slices.ContainsFunc(r.Knows, func(known string) bool { return under(dir, known) })
}

// under tells whether dir is top or lies below it.
func under(dir, top string) bool { return dir == top || strings.HasPrefix(dir, top+"/") }

// checkLibraries keeps libraries behind our own words.
func (p *source) checkLibraries() (problems []string) {
	for _, i := range p.imports() {
		for _, o := range Owners {
			mine := slices.ContainsFunc(o.Users, func(user string) bool { return under(p.dir, user) })
			if strings.HasPrefix(i.path, o.Library) && !mine {
				problems = append(problems, fmt.Sprintf("%s: %s may not import %s: %s", i.at, p.dir, i.path, o.Why))
			}
		}
	}
	return problems
}

// imported is one import and its place.
type imported struct {
	path string
	name string // in the file; "" if it is the package's own
	at   token.Position
}

func (p *source) imports() (all []imported) {
	for _, f := range p.files {
		all = append(all, p.importsOf(f)...)
	}
	return all
}

func (p *source) importsOf(f *ast.File) (all []imported) {
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has checked it
		}
		i := imported{path: name, at: p.fset.Position(spec.Pos())}
		if spec.Name != nil {
			i.name = spec.Name.Name
		}
		all = append(all, i)
	}
	return all
}

// checkPurity looks for clocks, chance and I/O in packages that must have none.
func (p *source) checkPurity() (problems []string) {
	if !slices.ContainsFunc(Pure, func(pure string) bool { return under(p.dir, pure) }) {
		return nil
	}
	for _, f := range p.files {
		names := map[string]string{} // in this file -> path of the package
		for _, i := range p.importsOf(f) {
			name := i.name
			if name == "" {
				name = path.Base(i.path)
			}
			names[name] = i.path
			if why, bad := impure[i.path]; bad {
				problems = append(problems, fmt.Sprintf("%s: %s may not import %s: %s", i.at, p.dir, i.path, why))
			}
		}
		problems = append(problems, p.checkCalls(f, names)...)
	}
	return problems
}

// checkCalls looks for single functions that pure code may not use.
func (p *source) checkCalls(f *ast.File, names map[string]string) (problems []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if of, ok := selector.X.(*ast.Ident); ok {
			used := names[of.Name] + "." + selector.Sel.Name
			if why, bad := impure[used]; bad {
				problems = append(problems, fmt.Sprintf("%s: %s may not use %s: %s", p.fset.Position(n.Pos()), p.dir, used, why))
			}
		}
		return true
	})
	return problems
}
