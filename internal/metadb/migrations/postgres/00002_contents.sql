-- +goose Up
-- Who collects garbage asks for a content in all revisions at once.
drop index file_metadata_sha256;
create index file_metadata_sha256 on file_metadata (sha256, location_id);
