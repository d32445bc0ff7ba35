/** What an import or a parser most easily gets wrong. */
export const TRICKY_PROTO: string = `syntax = "proto3";
package tricky.v1;
import "google/protobuf/timestamp.proto";
import "google/protobuf/struct.proto";
import public "tricky/v1/types.proto";

service TrickyService {
  rpc One(Outer) returns (Shade) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Down(Outer) returns (stream Shade);
  rpc Up(stream Outer) returns (google.protobuf.Struct) { option idempotency_level = IDEMPOTENT; }
  rpc Both(stream Outer) returns (stream Shade);
}
message Shade { string name = 1; }
message Labels { string value = 1; }
message Outer {
  message Shade { int32 number = 1; }
  Shade inner = 1;
  .tricky.v1.Shade outer = 2;
  map<string, Labels> labels = 3;
  map<int64, Kind> some_kinds = 4;
  optional int64 maybe_count = 5;
  oneof choice { string text = 6; Labels picture = 7; }
  repeated sint32 deltas = 8;
  repeated double unpacked = 9 [packed = false];
  google.protobuf.Timestamp create_time = 10;
  string renamed = 11 [json_name = "other", deprecated = true];
  Outer again = 12;
  Other other_file = 13;
  bool Odd__name_1_ = 14;
  string alreadyCamel_case = 15;
  reserved 20, 30 to 40;
  reserved "gone";
}
enum Kind {
  option allow_alias = true;
  KIND_UNSPECIFIED = 0;
  KIND_ONE = 1;
  KIND_EINS = 1;
  reserved 5 to 7;
}
`;

/** What {@link TRICKY_PROTO} imports. */
export const TRICKY_TYPES_PROTO: string = `syntax = "proto3";
package tricky.v1;
message Other { bytes raw = 1; Level level = 2; enum Level { LEVEL_UNSPECIFIED = 0; LEVEL_LOW = -1; } }
`;
