package datastore

import "encoding/json"

// Statistics are what is known of a file's columns, in the form the database keeps as JSON.
type Statistics struct {
	Columns map[string]ColumnStatistics `json:"columns,omitempty"` // by path, elements joined with "."
	Keys    map[string]string           `json:"keys,omitempty"`    // values of key columns and of partitions
}

// ColumnStatistics are bounds of a column's values. What is not known for certain is left out.
type ColumnStatistics struct {
	Type  ColumnType      `json:"type,omitempty"` // of Min and Max; empty where they are left out
	Min   json.RawMessage `json:"min,omitempty"`
	Max   json.RawMessage `json:"max,omitempty"`
	Nulls *int64          `json:"nulls,omitempty"`
}

// ColumnType says how bounds are written and compared.
type ColumnType string

// The types that have bounds.
const (
	TypeInt            ColumnType = "int"             // JSON number
	TypeFloat          ColumnType = "float"           // JSON number: a 32-bit float
	TypeDouble         ColumnType = "double"          // JSON number
	TypeDecimal        ColumnType = "decimal"         // string "-12.30"
	TypeBool           ColumnType = "bool"            // JSON bool
	TypeDate           ColumnType = "date"            // string "2006-01-02"
	TypeTimestamp      ColumnType = "timestamp"       // string, RFC 3339 in UTC with the digits of its unit
	TypeLocalTimestamp ColumnType = "timestamp_local" // the same without a zone
	TypeString         ColumnType = "string"          // UTF-8, compared by bytes
)
