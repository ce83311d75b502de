package metadb

// ParseURL parses a database URL and returns it without its secrets.
func ParseURL(url string) (string, error) {
	t, err := parseURL(url)
	if err != nil {
		return "", err
	}
	return t.String(), nil
}
