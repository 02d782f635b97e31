import hashlib

from conftest import same
from hamster_process import ACCESS_KEY, SECRET_KEY


def test_rclone(run, hamster, tree, tmp_path):
    config = tmp_path / "rclone.conf"
    config.write_text(f"[h]\ntype = s3\nprovider = Other\naccess_key_id = {ACCESS_KEY}\n"
                      f"secret_access_key = {SECRET_KEY}\nendpoint = {hamster.endpoint}\n")

    def rclone(*args, **kw):
        return run("rclone", "--config", config, "--retries", "1", *args, **kw)

    rclone("mkdir", "h:rclone-bucket")
    rclone("copy", tree, "h:rclone-bucket/tree")
    rclone("check", tree, "h:rclone-bucket/tree", "--download")
    rclone("sync", "h:rclone-bucket/tree", tmp_path / "back")
    same(tree, tmp_path / "back")
    # Multipart at rclone's own part size, streamed.
    rclone("copy", tree, "h:rclone-bucket/parts", "--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M")
    rclone("check", tree, "h:rclone-bucket/parts", "--download")
    rclone("copy", "h:rclone-bucket/tree", "h:rclone-bucket/copied")  # server side
    assert rclone("size", "h:rclone-bucket/copied", "--json") == rclone(
        "size", "h:rclone-bucket/tree", "--json")
    assert "cödé.bin" in rclone("lsf", "-R", "h:rclone-bucket/tree")
    rclone("moveto", "h:rclone-bucket/copied/one", "h:rclone-bucket/moved")
    rclone("purge", "h:rclone-bucket")


def test_restic(run, hamster, tree, tmp_path):
    repo = f"s3:{hamster.endpoint}/restic-bucket/repo"
    extra = {"RESTIC_PASSWORD": "test-password", "RESTIC_REPOSITORY": repo,
             "RESTIC_CACHE_DIR": str(tmp_path / "cache")}

    def restic(*args):
        return run("restic", *args, extra_env=extra)

    restic("init")
    restic("backup", tree)
    (tree / "one").write_bytes(b"changed")
    restic("backup", tree)
    restic("check", "--read-data")
    restic("restore", "latest", "--target", tmp_path / "restored")
    same(tree, tmp_path / "restored" / tree.relative_to("/"))
    restic("forget", "--keep-last", "1", "--prune")
    restic("check", "--read-data")


def test_s3cmd(run, hamster, tree, tmp_path):
    config = tmp_path / "s3cfg"
    host = f"127.0.0.1:{hamster.port}"
    config.write_text(f"[default]\naccess_key = {ACCESS_KEY}\nsecret_key = {SECRET_KEY}\n"
                      f"host_base = {host}\nhost_bucket = {host}\nuse_https = False\n")

    def s3cmd(*args, **kw):
        return run("s3cmd", "-c", config, *args, **kw)

    s3cmd("mb", "s3://s3cmd-bucket")
    s3cmd("put", "--recursive", tree, "s3://s3cmd-bucket/")
    listing = s3cmd("ls", "-r", "s3://s3cmd-bucket")
    assert "big.bin" in listing
    back = tmp_path / "back"
    back.mkdir()
    s3cmd("get", "--recursive", "s3://s3cmd-bucket/tree/", f"{back}/")
    same(tree, back)
    s3cmd("put", "--multipart-chunk-size-mb=5", tree / "big.bin", "s3://s3cmd-bucket/parts")
    s3cmd("get", "s3://s3cmd-bucket/parts", tmp_path / "parts")
    assert (tmp_path / "parts").read_bytes() == (tree / "big.bin").read_bytes()
    assert hashlib.md5((tree / "small.txt").read_bytes()).hexdigest() in s3cmd(
        "info", "s3://s3cmd-bucket/tree/small.txt")
    s3cmd("cp", "s3://s3cmd-bucket/tree/small.txt", "s3://s3cmd-bucket/copy")
    s3cmd("mv", "s3://s3cmd-bucket/copy", "s3://s3cmd-bucket/moved")
    s3cmd("sync", f"{tree}/", "s3://s3cmd-bucket/synced/")
    s3cmd("del", "--recursive", "--force", "s3://s3cmd-bucket/")
    s3cmd("rb", "s3://s3cmd-bucket")
