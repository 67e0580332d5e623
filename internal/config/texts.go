package config

// Text is a file that did not come from this machine's disk.
type Text struct {
	Name string
	Data []byte
}

// ParseAll reads texts as Load reads the files of a folder, or the one file.
func ParseAll(name string, texts []Text, o Options) (*File, Problems) {
	if len(texts) == 0 || len(texts) > MaxFolderFiles {
		return nil, Problems{{Position: Position{File: name}, Message: "a configuration has between one file and a thousand"}}
	}
	documents := make([]document, len(texts))
	total := 0
	for i, t := range texts {
		if total += len(t.Data); len(t.Data) > MaxFileBytes || total > MaxFolderBytes {
			return nil, Problems{{Position: Position{File: t.Name}, Message: "it is too large"}}
		}
		documents[i] = document{t.Name, t.Data}
	}
	return read(name, documents, o)
}
