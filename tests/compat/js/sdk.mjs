// The AWS SDK for JavaScript at its defaults against one endpoint; exits non-zero on any difference.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import {
  S3Client, CreateBucketCommand, PutObjectCommand, GetObjectCommand, HeadObjectCommand,
  ListObjectsV2Command, DeleteObjectsCommand, CopyObjectCommand, DeleteBucketCommand,
  GetObjectAttributesCommand,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const client = new S3Client({ endpoint: process.env.AWS_ENDPOINT_URL, forcePathStyle: true });
const Bucket = "js-bucket";
const sha = (data) => createHash("sha256").update(data).digest("hex");

await client.send(new CreateBucketCommand({ Bucket }));
for (const size of [0, 1, 4096, 200_000, 3_000_000]) {
  const data = randomBytes(size);
  const put = await client.send(new PutObjectCommand({ Bucket, Key: `k${size}`, Body: data }));
  assert.equal(put.ETag, `"${createHash("md5").update(data).digest("hex")}"`);
  const got = await client.send(new GetObjectCommand({ Bucket, Key: `k${size}` }));
  assert.equal(sha(Buffer.from(await got.Body.transformToByteArray())), sha(data));
}
// A stream of unknown length goes through multipart with trailing checksums.
const big = randomBytes(17 * 1024 * 1024);
await new Upload({ client, params: { Bucket, Key: "stream", Body: Readable.from([big.subarray(0, 1000), big.subarray(1000)]) } }).done();
const back = await client.send(new GetObjectCommand({ Bucket, Key: "stream" }));
assert.equal(sha(Buffer.from(await back.Body.transformToByteArray())), sha(big));
const attributes = await client.send(new GetObjectAttributesCommand({ Bucket, Key: "stream", ObjectAttributes: ["ObjectParts", "ObjectSize"] }));
assert.equal(attributes.ObjectSize, big.length);
assert.equal(attributes.ObjectParts.TotalPartsCount, 4);

await client.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/stream` }));
assert.equal((await client.send(new HeadObjectCommand({ Bucket, Key: "copy" }))).ContentLength, big.length);
const url = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: "k4096" }), { expiresIn: 60 });
assert.equal((await (await fetch(url)).arrayBuffer()).byteLength, 4096);
await assert.rejects(client.send(new GetObjectCommand({ Bucket, Key: "none" })), { name: "NoSuchKey" });

const list = await client.send(new ListObjectsV2Command({ Bucket }));
assert.equal(list.KeyCount, 7);
const gone = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: list.Contents.map(({ Key }) => ({ Key })) } }));
assert.equal(gone.Deleted.length, 7);
await client.send(new DeleteBucketCommand({ Bucket }));
console.log("ok");
