-- +goose Up
-- The same tables as in ../postgres/00001_tables.sql. Times are microseconds since the epoch.
-- Where an id stands beside a natural key, the id is the primary key here: autoincrement, which never gives a number
-- twice, is allowed for nothing else.

create table manifests (
    id         integer primary key autoincrement,
    hash       text not null unique,
    path       text not null,
    kind       text not null,
    size       integer not null,
    created_at integer not null
) strict;

-- The row that writers of links and tags lock; links is the number of the last link, and
-- updated_at, when links or tags changed last, never goes back.
create table datasets (
    id         integer primary key autoincrement,
    namespace  text not null,
    name       text not null,
    links      integer not null default 0,
    created_at integer not null,
    updated_at integer not null default 0,
    unique (namespace, name)
) strict;

create table dataset_manifests (
    namespace  text not null,
    name       text not null,
    hash       text not null references manifests (hash),
    link_no    integer not null,
    created_at integer not null,
    linked_at  integer not null,
    primary key (namespace, name, hash),
    foreign key (namespace, name) references datasets (namespace, name)
) strict;
create index dataset_manifests_hash on dataset_manifests (hash);

-- version is a semantic version, or 'latest' (target: the semantic version it denotes) or 'dev' (target: the hash).
-- A 'latest' or 'dev' that moves is deleted and inserted, because its id is a symlink's inode number.
create table dataset_tags (
    id         integer primary key autoincrement,
    namespace  text not null,
    name       text not null,
    version    text not null,
    hash       text not null,
    target     text not null,
    created_at integer not null,
    updated_at integer not null,
    unique (namespace, name, version),
    foreign key (namespace, name, hash) references dataset_manifests (namespace, name, hash) on delete cascade
) strict;
create index dataset_tags_manifest on dataset_tags (namespace, name, hash);

create table jobs (
    id           integer primary key autoincrement,
    node         text not null,
    kind         text not null,
    status       text not null check (status in ('running', 'done', 'failed', 'taken over')),
    heartbeat_at integer not null,
    created_at   integer not null
) strict;

create table physical_tables (
    id                integer primary key autoincrement,
    manifest_hash     text not null references manifests (hash),
    dataset_namespace text not null,
    dataset_name      text not null,
    table_name        text not null,
    revision          text not null unique,
    path              text not null unique,
    active            integer not null default false check (active in (0, 1)),
    writer            integer references jobs (id),
    created_at        integer not null,
    updated_at        integer not null
) strict;
create unique index physical_tables_active
    on physical_tables (dataset_namespace, dataset_name, manifest_hash, table_name) where active;
create index physical_tables_table
    on physical_tables (dataset_namespace, dataset_name, manifest_hash, table_name);
create index physical_tables_manifest on physical_tables (manifest_hash);
create index physical_tables_writer on physical_tables (writer) where writer is not null;

-- dir is the parent of file_name in a table of files, and '' in its root and in a parquet table.
-- The footer's bytes lie in footer_cache only, so that a listing does not read past them.
create table file_metadata (
    id             integer primary key autoincrement,
    location_id    integer not null references physical_tables (id) on delete cascade,
    file_name      text not null,
    dir            text not null default '',
    url            text not null,
    object_size    integer not null,
    object_e_tag   text not null default '',
    object_version text not null default '',
    sha256         text not null default '',
    row_count      integer not null default 0,
    created_at     integer not null,
    footer_offset  integer not null default 0,
    metadata       text not null default '{}',
    unique (location_id, file_name)
) strict;
create index file_metadata_dir on file_metadata (location_id, dir, file_name);
create index file_metadata_sha256 on file_metadata (location_id, sha256);

-- Directories of tables of files.
create table file_directories (
    id          integer primary key autoincrement,
    location_id integer not null references physical_tables (id) on delete cascade,
    dir         text not null,
    name        text not null,
    created_at  integer not null,
    unique (location_id, dir, name)
) strict;

create table footer_cache (
    file_id integer primary key references file_metadata (id) on delete cascade,
    footer  blob not null
) strict;

-- History: it outlives the revisions that it names.
create table activations (
    dataset_namespace text not null,
    dataset_name      text not null,
    manifest_hash     text not null,
    table_name        text not null,
    n                 integer not null,
    location_id       integer,
    activated_at      integer not null,
    actor             text not null default '',
    primary key (dataset_namespace, dataset_name, manifest_hash, table_name, n)
) strict;

create table change_head (
    one integer primary key check (one),
    seq integer not null
) strict;
insert into change_head (one, seq) values (true, 0);

create table changes (
    seq         integer not null,
    n           integer not null,
    kind        text not null,
    namespace   text not null default '',
    name        text not null default '',
    hash        text not null default '',
    version     text not null default '',
    table_name  text not null default '',
    location_id integer not null default 0,
    first_file  integer not null default 0,
    last_file   integer not null default 0,
    created_at  integer not null,
    primary key (seq, n)
) strict, without rowid;

-- What waits to be deleted: a row outlives its file's row until the object is gone too.
create table gc_manifest (
    file_id     integer primary key,
    location_id integer not null,
    file_path   text not null,
    expiration  integer not null,
    created_at  integer not null
) strict;
create index gc_manifest_expiration on gc_manifest (expiration);

create table repositories (
    uuid       text not null primary key,
    name       text not null unique,
    url        text not null,
    kind       text not null,
    created_at integer not null
) strict;

create table file_locations (
    namespace  text not null,
    name       text not null,
    file_key   text not null,
    repository text not null references repositories (uuid),
    created_at integer not null,
    primary key (namespace, name, file_key, repository)
) strict;
create index file_locations_repository on file_locations (repository);
