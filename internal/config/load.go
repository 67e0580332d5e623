package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Load reads the file or folder of o.Path. A folder's *.yaml and *.yml files are
// merged by key; what two of them declare is a problem. It returns either a file
// that is right in every respect, or problems.
func Load(o Options) (*File, Problems) {
	fail := func(message string) (*File, Problems) {
		return nil, Problems{{Position: Position{File: o.Path}, Message: message}}
	}
	if o.Path == "" {
		return fail("no configuration file is named: give one with --config FILE")
	}
	info, err := os.Stat(o.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail("there is no such file or folder: \"gatehouse init " + o.Path + "\" writes one to start from")
	case errors.Is(err, fs.ErrPermission):
		return fail("this process may not read it: check the permissions of the file and its folders")
	case err != nil:
		return fail("it cannot be read: " + reasonOf(err))
	}
	paths := []string{o.Path}
	if info.IsDir() {
		if paths, err = filesOf(o.Path); err != nil {
			return fail("the folder cannot be read: " + reasonOf(err))
		}
		if len(paths) == 0 {
			return fail("the folder holds no *.yaml or *.yml files")
		}
	}
	if len(paths) > MaxFolderFiles {
		return fail(fmt.Sprintf("the folder holds more than %d files", MaxFolderFiles))
	}
	var texts []Text
	total := 0
	for _, p := range paths {
		data, err := readBounded(p)
		if err != nil {
			return nil, Problems{{Position: Position{File: p}, Message: "it cannot be read: " + reasonOf(err)}}
		}
		if total += len(data); total > MaxFolderBytes {
			return fail(fmt.Sprintf("its files are larger than %d MiB together", MaxFolderBytes>>20))
		}
		texts = append(texts, Text{p, data})
	}
	return read(o.Path, texts, o)
}

// Parse reads one text as Load reads a file of that name.
func Parse(name string, data []byte, o Options) (*File, Problems) {
	return read(name, []Text{{name, data}}, o)
}

// ParseAll reads texts as Load reads the files of a folder with the name.
func ParseAll(name string, texts []Text, o Options) (*File, Problems) {
	total := 0
	for _, t := range texts {
		total += len(t.Data)
	}
	if len(texts) > MaxFolderFiles || total > MaxFolderBytes {
		return nil, Problems{{Position: Position{File: name}, Message: fmt.Sprintf("a configuration has at most %d files and %d MiB", MaxFolderFiles, MaxFolderBytes>>20)}}
	}
	if len(texts) == 0 {
		return nil, Problems{{Position: Position{File: name}, Message: "there is no file"}}
	}
	return read(name, texts, o)
}

// Text is one file and its content.
type Text struct {
	Name string
	Data []byte
}

// filesOf lists the YAML files of a folder in the order of their names. Hidden
// files and folders are left out: editors and mounted volumes keep theirs there.
func filesOf(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if !isConfigName(e.Name()) {
			continue
		}
		path := filepath.Join(folder, e.Name())
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
			continue
		}
		out = append(out, path)
	}
	return out, nil
}

func isConfigName(name string) bool {
	return !strings.HasPrefix(name, ".") && (strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml"))
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	return data, errors.Join(err, f.Close())
}

// reasonOf returns what the operating system says without repeating the path.
func reasonOf(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// read turns texts into a file, or says everything that is wrong with them.
func read(name string, texts []Text, o Options) (*File, Problems) {
	var c compilation
	c.sources = map[string]source{}
	hash := sha256.New()
	file := &File{Name: name}
	var tree *node
	for _, d := range texts {
		hash.Write(fmt.Appendf(nil, "%d %s %d ", len(d.Name), d.Name, len(d.Data)))
		hash.Write(d.Data)
		file.Files = append(file.Files, d.Name)
		n, src, problems := parseYAML(d.Name, d.Data)
		c.sources[d.Name] = src
		c.problems = append(c.problems, problems...)
		if n == nil {
			continue
		}
		tree = c.merge(tree, n)
	}
	file.Digest = hex.EncodeToString(hash.Sum(nil))
	if tree != nil && len(c.problems) == 0 || tree != nil && tree.kind == mapping {
		c.compile(file, tree, o)
	}
	if len(c.problems) > 0 {
		return nil, c.finish()
	}
	return file, nil
}

// merge adds the keys of next to those of tree, section by section.
func (c *compilation) merge(tree, next *node) *node {
	if tree == nil || tree.kind != mapping {
		return next
	}
	if next.kind != mapping {
		c.add(next, "a file of a folder is a group of keys, such as apis")
		return tree
	}
	for _, e := range next.entries {
		i := slices.IndexFunc(tree.entries, func(old entry) bool { return old.key.text == e.key.text })
		if i < 0 {
			tree.entries = append(tree.entries, e)
			continue
		}
		c.mergeSection(tree.entries[i], e)
	}
	return tree
}

func (c *compilation) mergeSection(old, e entry) {
	switch {
	case old.value.kind == mapping && e.value.kind == mapping:
		for _, below := range e.value.entries {
			i := slices.IndexFunc(old.value.entries, func(o entry) bool { return o.key.text == below.key.text })
			if i >= 0 {
				c.add(below.key, "%s.%s is declared already, at %s", e.key.text, below.key.text, old.value.entries[i].key.at)
				continue
			}
			old.value.entries = append(old.value.entries, below)
		}
	case old.value.kind == list && e.value.kind == list:
		old.value.items = append(old.value.items, e.value.items...)
	case old.value.kind != mapping && old.value.kind != list && old.value.raw == e.value.raw && old.key.text == "version":
	default:
		c.add(e.key, "%s is declared already, at %s", e.key.text, old.key.at)
	}
}
