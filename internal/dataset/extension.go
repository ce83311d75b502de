package dataset

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// DefaultExtensionLength is git-annex's own greatest length of one part of an extension, in bytes: long enough for
// "jpeg", too short for "parquet". Its annex.maxextensionlength changes it there.
const DefaultExtensionLength = 4

// MaxExtensionLength is the greatest length of one part that keeps every key a file name, in bytes.
const MaxExtensionLength = 79

// maxExtensionParts lets "tar.gz" stay whole.
const maxExtensionParts = 2

// Extension is what a key keeps of a file's name: "" or up to two parts, each with its leading dot and in its own case.
//
// It is git-annex's rule, so that keys made here equal the ones made there. Of the name without its leading dots, what
// follows the first dot is divided at dots; from the last part back, parts are looked at as long as they have at most
// maxLen bytes (a maxLen above [MaxExtensionLength] is that). Parts with ASCII other than letters and digits are passed
// over; of the rest the last two count, and empty ones among them are left out.
func Extension(filename string, maxLen int) string {
	name := strings.TrimLeft(filename[strings.LastIndexByte(filename, '/')+1:], ".")
	parts := strings.Split(name, ".")
	maxLen = min(maxLen, MaxExtensionLength)
	var kept []string
	for _, part := range slices.Backward(parts[1:]) {
		if len(part) > maxLen || len(kept) == maxExtensionParts {
			break
		}
		if validExtensionPart(part) {
			kept = append(kept, part)
		}
	}
	var ext string
	for _, part := range kept {
		if part != "" {
			ext = "." + part + ext
		}
	}
	return ext
}

// validExtensionPart tells whether a part has letters and digits only; everything beyond ASCII passes for a letter, but
// not bytes that are no UTF-8, which no database keeps.
func validExtensionPart(part string) bool {
	for i := range len(part) {
		if c := part[i]; c < 0x80 && !isLetter(c) && !isDigit(c) {
			return false
		}
	}
	return utf8.ValidString(part)
}
