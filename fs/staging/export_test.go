package staging

import "strings"

// What tests look at.

func creationFor(mkstemp bool) creation {
	if mkstemp {
		return byMkstemp
	}
	return plainly
}

func WaitsInFiles(name string, mkstemp bool) bool {
	return waitsInFiles(strings.Split(name, "/"), creationFor(mkstemp))
}

func WaitsInParquet(name string, mkstemp bool) bool {
	return waitsInParquet(strings.Split(name, "/"), creationFor(mkstemp))
}

var KilledIn = killedIn
